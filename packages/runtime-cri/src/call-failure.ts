import { RuntimeError, type RuntimeErrorCode } from '@outrigger/kubelet/runtime'
import { GrpcFailure, grpcCode } from './cri-channel.ts'

/** What was being done; decides the code of a refusal and the wording. */
export type CriTask = 'sandbox' | 'create' | 'start' | 'pull' | 'other'

const codeNames = [
  'OK',
  'Canceled',
  'Unknown',
  'InvalidArgument',
  'DeadlineExceeded',
  'NotFound',
  'AlreadyExists',
  'PermissionDenied',
  'ResourceExhausted',
  'FailedPrecondition',
  'Aborted',
  'OutOfRange',
  'Unimplemented',
  'Internal',
  'Unavailable',
  'DataLoss',
  'Unauthenticated',
]

const refusal: Readonly<Record<CriTask, RuntimeErrorCode>> = {
  sandbox: 'create-failed',
  create: 'create-failed',
  start: 'start-failed',
  pull: 'image-pull-failed',
  other: 'unknown',
}

/**
 * The error a caller of the runtime sees. A sandbox or a pull that failed reads
 * `rpc error: code = NotFound desc = ...`, a container only the description: exactly as a kubelet words them
 * in events. What was not a refusal of the runtime (an abort, a defect) comes back as it is.
 */
export function callFailure(task: CriTask, error: unknown): unknown {
  if (!(error instanceof GrpcFailure)) return error
  const description = withoutSecrets(error.message)
  const isWordedInFull = task === 'pull' || task === 'sandbox'
  const message = isWordedInFull
    ? `rpc error: code = ${codeNames[error.code] ?? 'Unknown'} desc = ${description}`
    : description
  return new RuntimeError(codeOf(task, error), message, { cause: error })
}

function codeOf(task: CriTask, { code, message }: GrpcFailure): RuntimeErrorCode {
  if (task === 'pull') {
    if (/failed to parse image reference|invalid reference format/.test(message)) return 'image-name-invalid'
    if (code === grpcCode.unavailable && !message.startsWith('failed to pull')) return 'unavailable'
    return 'image-pull-failed'
  }
  if (code === grpcCode.unavailable) return 'unavailable'
  if (code === grpcCode.deadlineExceeded) return 'timeout'
  if (code === grpcCode.unimplemented) return 'unsupported'
  if (task === 'create' && /image .*not found|failed to resolve image/.test(message))
    return 'image-not-present'
  if (code === grpcCode.notFound) return 'not-found'
  return refusal[task]
}

/** Whether the error says that the thing is not there. */
export function isGone(error: unknown): boolean {
  return error instanceof GrpcFailure && error.code === grpcCode.notFound
}

/** Takes user names and passwords out of addresses, and signatures out of their queries. */
function withoutSecrets(text: string): string {
  return text.replace(/:\/\/[^/\s@"]+@/g, '://').replace(/(https?:\/\/[^\s"?]+)\?[^\s"]*/g, '$1')
}
