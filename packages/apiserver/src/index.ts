export { type ApiServer, type ApiServerOptions, createApiServer, type ServerAddress } from './api-server.ts'
