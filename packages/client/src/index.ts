export { ApiError, ConnectionError, isAlreadyExists, isConflict, isGone, isNotFound } from './api-error.ts'
export type {
  CallOptions,
  Client,
  DeleteCallOptions,
  ListOptions,
  Patch,
  RawAnswer,
  RawRequest,
  Reader,
  SubresourceOption,
  WatchOptions,
  WriteOptions,
  Writer,
} from './client.ts'
