// The built-in controllers of the embedded cluster and its scheduler, as one thing to run.
export { type ControlPlaneOptions, createControlPlane } from './control-plane.ts'
