export type { ChangeHandler, IndexFunction, Informer, Store } from './informer.ts'
