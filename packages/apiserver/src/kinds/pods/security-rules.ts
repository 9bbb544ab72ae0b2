import {
  type AppArmorProfile,
  invalid,
  type PodSecurityContext,
  required,
  type SeccompProfile,
  type SecurityContext,
} from '@outrigger/kube'
import { type Errors, notSupported } from '../field-checks.ts'

const maxId = 2147483647
const profileTypes = ['Localhost', 'RuntimeDefault', 'Unconfined']
const procMounts = ['Default', 'Unmasked']
const sysctlName = /^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$/

/** The security context of one container. */
export function checkContainerSecurity(errors: Errors, path: string, context: SecurityContext): void {
  checkId(errors, `${path}.runAsUser`, context.runAsUser)
  checkId(errors, `${path}.runAsGroup`, context.runAsGroup)
  if (context.procMount !== undefined && !procMounts.includes(context.procMount))
    errors.push(notSupported(`${path}.procMount`, context.procMount, procMounts))
  checkSeccomp(errors, `${path}.seccompProfile`, context.seccompProfile)
  checkAppArmor(errors, `${path}.appArmorProfile`, context.appArmorProfile)
  if (context.allowPrivilegeEscalation === false) {
    if (context.privileged)
      errors.push(
        invalid(path, context, 'cannot set `allowPrivilegeEscalation` to false and `privileged` to true'),
      )
    if (context.capabilities?.add?.includes('CAP_SYS_ADMIN'))
      errors.push(
        invalid(
          path,
          context,
          'cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN',
        ),
      )
  }
}

/** The security context of a whole pod. */
export function checkPodSecurity(errors: Errors, path: string, context: PodSecurityContext): void {
  checkId(errors, `${path}.fsGroup`, context.fsGroup)
  checkId(errors, `${path}.runAsUser`, context.runAsUser)
  checkId(errors, `${path}.runAsGroup`, context.runAsGroup)
  context.supplementalGroups?.forEach((group, index) => {
    checkId(errors, `${path}.supplementalGroups[${index}]`, group)
  })
  const sysctls = new Set<string>()
  context.sysctls?.forEach((sysctl, index) => {
    const at = `${path}.sysctls[${index}].name`
    if (!sysctl.name) errors.push(required(at))
    else if (sysctl.name.length > 253 || !sysctlName.test(sysctl.name))
      errors.push(
        invalid(
          at,
          sysctl.name,
          'must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$',
        ),
      )
    else if (sysctls.has(sysctl.name))
      errors.push({ type: 'duplicate', field: at, value: sysctl.name, detail: '' })
    sysctls.add(sysctl.name)
  })
  const policy = context.fsGroupChangePolicy
  if (policy !== undefined && policy !== 'Always' && policy !== 'OnRootMismatch')
    errors.push(notSupported(`${path}.fsGroupChangePolicy`, policy, ['Always', 'OnRootMismatch']))
  checkSeccomp(errors, `${path}.seccompProfile`, context.seccompProfile)
  checkAppArmor(errors, `${path}.appArmorProfile`, context.appArmorProfile)
}

function checkId(errors: Errors, field: string, id: number | undefined): void {
  if (id !== undefined && (id < 0 || id > maxId))
    errors.push(invalid(field, id, `must be between 0 and ${maxId}, inclusive`))
}

function checkSeccomp(errors: Errors, path: string, profile: SeccompProfile | undefined): void {
  if (profile !== undefined) checkProfile(errors, path, profile.type, profile.localhostProfile, 'seccomp')
}

function checkAppArmor(errors: Errors, path: string, profile: AppArmorProfile | undefined): void {
  if (profile !== undefined) checkProfile(errors, path, profile.type, profile.localhostProfile, 'AppArmor')
}

function checkProfile(
  errors: Errors,
  path: string,
  type: string | undefined,
  localhost: string | undefined,
  what: 'seccomp' | 'AppArmor',
): void {
  if (!type) errors.push(required(`${path}.type`, 'type is required when profile is set'))
  else if (!profileTypes.includes(type)) errors.push(notSupported(`${path}.type`, type, profileTypes))
  else if (type === 'Localhost' && localhost === undefined)
    errors.push(required(`${path}.localhostProfile`, `must be set when ${what} type is Localhost`))
  else if (type !== 'Localhost' && localhost !== undefined)
    errors.push(
      invalid(`${path}.localhostProfile`, localhost, `can only be set when ${what} type is Localhost`),
    )
}
