import { bindingErrors, type SidecarSetResourceBinding } from '@outrigger/api'
import { type AdmissionHandler, allow, refuse } from '@outrigger/webhook'

/** Refuses bindings that name nothing, or more than exact names. */
export const validateBinding: AdmissionHandler = ({ resource, object }) => {
  if (resource.resource !== 'sidecarsetresourcebindings' || object === undefined) return allow
  const errors = bindingErrors(object as SidecarSetResourceBinding)
  if (errors.length === 0) return allow
  return refuse(`SidecarSetResourceBinding ${JSON.stringify(object.metadata.name)}`, errors)
}
