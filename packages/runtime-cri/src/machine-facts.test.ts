import { expect, test } from 'vitest'
import { readMachine } from './machine-facts.ts'

const from = (files: Readonly<Record<string, string>>) => async (path: string) => files[path]

test('a machine is described as a kubelet describes it', async () => {
  const files = {
    '/etc/machine-id': '0123456789abcdef0123456789abcdef',
    '/sys/class/dmi/id/product_uuid': '01234567-89ab-cdef-0123-456789abcdef',
    '/proc/sys/kernel/random/boot_id': '11111111-2222-3333-4444-555555555555',
    '/etc/os-release': 'NAME="Debian GNU/Linux"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian',
  }

  expect(await readMachine(from(files), '6.1.0')).toEqual({
    machineId: '0123456789abcdef0123456789abcdef',
    systemUuid: '01234567-89ab-cdef-0123-456789abcdef',
    bootId: '11111111-2222-3333-4444-555555555555',
    kernelVersion: '6.1.0',
    osImage: 'Debian GNU/Linux 12 (bookworm)',
  })
})

test('a machine without firmware tables is known by its id; one that says nothing is described by its kernel', async () => {
  expect(await readMachine(from({ '/var/lib/dbus/machine-id': 'abc' }), '6.1.0')).toMatchObject({
    machineId: 'abc',
    systemUuid: 'abc',
  })
  expect(await readMachine(from({ '/usr/lib/os-release': 'PRETTY_NAME=Tiny' }), '6.1.0')).toEqual({
    machineId: '',
    systemUuid: '',
    bootId: '',
    kernelVersion: '6.1.0',
    osImage: 'Tiny',
  })
})
