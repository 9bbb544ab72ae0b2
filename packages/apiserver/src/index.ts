// The server
export type { AdmissionAttributes, AdmissionPlugin, Operation } from './admission/plugin.ts'
export type { ServiceResolver } from './admission/webhook/webhook-client.ts'
export { type ApiServer, type ApiServerOptions, createApiServer, type ServerAddress } from './api-server.ts'
// Who asks
export type { UserInfo } from './auth/identity.ts'
export type { StaticToken } from './auth/static-tokens.ts'
// What its admission steps see
export type { Resource } from './registry/resource.ts'
export { StatusError } from './registry/status-error.ts'
