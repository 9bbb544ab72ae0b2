// The cluster's authority, as the controllers use it.
export type { CertificateSigner, RequestedNames } from './certificates/certificate-signer.ts'
// The built-in controllers of the embedded cluster and its scheduler, as one thing to run.
export { type ControlPlaneOptions, createControlPlane } from './control-plane.ts'
export type { VolumeFolders } from './volume-binding/volume-folders.ts'
