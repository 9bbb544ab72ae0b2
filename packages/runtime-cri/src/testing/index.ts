// For tests only: a registry on the loopback.
export { startTestRegistry, type TestRegistry, type TestRegistryOptions } from './test-registry.ts'
