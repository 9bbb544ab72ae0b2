import { describe, expect, it } from 'vitest'
import { readManagerGates } from './kruise-flags.ts'

describe('gates of the manager', () => {
  it('are off unless somebody says so, and AllAlpha speaks for those nobody named', () => {
    expect(readManagerGates({}).gates.EnableSortSidecarContainerByName).toBe(false)
    const { gates } = readManagerGates({ AllAlpha: true, EnableSortSidecarContainerByName: false })
    expect(gates).toEqual({
      EnableExternalCerts: true,
      EnableSortSidecarContainerByName: false,
      SidecarSetPatchPodMetadataDefaultsAllowed: true,
    })
  })

  it('of parts that are not here are accepted and named; unknown ones stop the start', () => {
    expect(readManagerGates({ KruiseDaemon: false }).ignored).toEqual(['KruiseDaemon'])
    expect(() => readManagerGates({ KruiseDeamon: false })).toThrow('KruiseDeamon')
  })
})
