// Things to test against

// Objects that show only what a case is about
export { aConfigMap, aContainer, aDeployment, aNamespace, aPod, aSidecarSet } from './builders.ts'
// Waiting
export { type EventuallyOptions, eventually } from './eventually.ts'
export {
  startTestApiServer,
  type TestApiServer,
  type TestApiServerOptions,
  type TestUser,
} from './test-api-server.ts'
export { startTestCluster, type TestCluster, type TestClusterOptions } from './test-cluster.ts'
