import { formatFieldError } from '@outrigger/kube'
import { describe, expect, it } from 'vitest'
import { changePolicies, changePolicyErrors, wayOfChange } from './change-policy.ts'

const annotated = (annotations: Record<string, string>) => ({ metadata: { name: 'agents', annotations } })

describe('The policies of a SidecarSet', () => {
  it('are undeclared where no annotation says one', () => {
    expect(changePolicies(annotated({ 'outrigger.dev/failure-policy': 'Fail' }))).toBeUndefined()
  })

  it('are the defaults for what the others do not say', () => {
    expect(changePolicies(annotated({ 'outrigger.dev/on-resources-change': 'Resize' }))).toEqual({
      onImageChange: 'InPlace',
      onResourcesChange: 'Resize',
      onOtherChange: 'Wait',
    })
  })

  it('are refused with the words there are', () => {
    const wrong = annotated({
      'outrigger.dev/on-image-change': 'Resize',
      'outrigger.dev/on-resources-change': 'Recreate',
      'outrigger.dev/on-other-change': 'recreate',
    })
    expect(changePolicyErrors(wrong).map(formatFieldError)).toEqual([
      'metadata.annotations[outrigger.dev/on-image-change]: Unsupported value: "Resize": supported values: "InPlace", "Recreate", "Wait"',
      'metadata.annotations[outrigger.dev/on-other-change]: Unsupported value: "recreate": supported values: "Recreate", "Wait"',
    ])
  })
})

describe('The way of a change', () => {
  const images = { changeClass: 'images', hasNewImages: true } as const
  const amounts = { changeClass: 'resources', hasNewImages: false } as const
  const both = { changeClass: 'resources', hasNewImages: true } as const
  const other = { changeClass: 'other', hasNewImages: false } as const
  const defaults = { onImageChange: 'InPlace', onResourcesChange: 'Wait', onOtherChange: 'Wait' } as const

  it('is by default what it is without policies', () => {
    expect([images, amounts, both, other].map((change) => wayOfChange(change, defaults))).toEqual([
      'images',
      'wait',
      'wait',
      'wait',
    ])
  })

  it('is decided by the class', () => {
    const said = { onImageChange: 'Wait', onResourcesChange: 'Resize', onOtherChange: 'Recreate' } as const
    expect(wayOfChange(images, said)).toBe('wait')
    expect(wayOfChange(amounts, said)).toBe('resize')
    expect(wayOfChange(other, said)).toBe('recreate')
    expect(wayOfChange(amounts, { ...defaults, onResourcesChange: 'Recreate' })).toBe('recreate')
  })

  it('takes images along with amounts only where they may change in place', () => {
    const resizes = { ...defaults, onResourcesChange: 'Resize' } as const
    expect(wayOfChange(both, resizes)).toBe('resize')
    expect(wayOfChange(both, { ...resizes, onImageChange: 'Recreate' })).toBe('recreate')
    expect(wayOfChange(both, { ...resizes, onImageChange: 'Wait' })).toBe('wait')
    expect(wayOfChange(amounts, { ...resizes, onImageChange: 'Wait' })).toBe('resize')
  })
})
