import { UserError } from '@outrigger/foundation'
import { buildImage, machineArchitecture, type OciImage } from './oci-image.ts'

/**
 * The image whose only process holds the namespaces of a pod open: a static program of a few dozen bytes
 * that asks the kernel to reap its children (it is process 1 of pods that share one process namespace) and
 * then sleeps for good. Runtimes end it with SIGKILL.
 */
export function pauseImage(reference: string, architecture: string = machineArchitecture()): OciImage {
  const files = [{ kind: 'file', path: 'pause', mode: 0o755, content: pauseProgram(architecture) }] as const
  return buildImage({ reference, files, entrypoint: ['/pause'], architecture })
}

const machines: Readonly<Record<string, { readonly id: number; readonly code: Uint8Array }>> = {
  amd64: { id: 62, code: amd64Code() },
  arm64: { id: 183, code: arm64Code() },
}

/** A static ELF executable: one header, one segment, the code. @throws UserError for other processors. */
export function pauseProgram(architecture: string): Buffer {
  const machine = machines[architecture]
  if (machine === undefined) throw new UserError(`no pause program for ${architecture} processors`)
  const base = 0x400000n
  const codeAt = 64 + 56
  const size = BigInt(codeAt + machine.code.length)
  const head = Buffer.alloc(codeAt)
  head.write('\x7fELF\x02\x01\x01', 0, 'latin1')
  head.writeUInt16LE(2, 16) // an executable
  head.writeUInt16LE(machine.id, 18)
  head.writeUInt32LE(1, 20)
  head.writeBigUInt64LE(base + BigInt(codeAt), 24) // where it starts
  head.writeBigUInt64LE(64n, 32) // where the segments are listed
  head.writeUInt16LE(64, 52)
  head.writeUInt16LE(56, 54)
  head.writeUInt16LE(1, 56)
  head.writeUInt32LE(1, 64) // load it
  head.writeUInt32LE(5, 68) // readable, executable
  head.writeBigUInt64LE(base, 80)
  head.writeBigUInt64LE(base, 88)
  head.writeBigUInt64LE(size, 96)
  head.writeBigUInt64LE(size, 104)
  head.writeBigUInt64LE(0x1000n, 112)
  return Buffer.concat([head, machine.code])
}

function amd64Code(): Uint8Array {
  return Uint8Array.from([
    ...[0x6a, 0x00, 0x6a, 0x00, 0x6a, 0x00, 0x6a, 0x01], // push 0, 0, 0, 1: { SIG_IGN, flags, restorer, mask }
    ...[0x48, 0x89, 0xe6], // mov rsi, rsp
    ...[0x6a, 0x11, 0x5f], // rdi = SIGCHLD
    ...[0x31, 0xd2], // edx = 0
    ...[0x6a, 0x08, 0x41, 0x5a], // r10 = 8
    ...[0x6a, 0x0d, 0x58, 0x0f, 0x05], // rt_sigaction
    ...[0x6a, 0x22, 0x58, 0x0f, 0x05], // pause
    ...[0xeb, 0xf9], // again
  ])
}

function arm64Code(): Uint8Array {
  const set = (register: number, value: number) => 0xd2800000 + value * 32 + register
  const call = 0xd4000001
  const words = [
    0xd10083ff, // sub sp, sp, #32
    set(0, 1),
    ...[0xf90003e0, 0xf90007ff, 0xf9000bff, 0xf9000fff], // { SIG_IGN, flags, restorer, mask }
    set(0, 17), // SIGCHLD
    0x910003e1, // mov x1, sp
    ...[set(2, 0), set(3, 8), set(8, 134), call], // rt_sigaction
    ...[set(0, 0), set(1, 0), set(2, 0), set(3, 0), set(8, 73), call], // ppoll, without end
    0x17fffffa, // six words back: again
  ]
  const code = Buffer.alloc(words.length * 4)
  for (const [index, word] of words.entries()) code.writeUInt32LE(word, index * 4)
  return code
}
