import { createAuthority, issueCertificate, readSigningRequest } from '@outrigger/certificates'
import type { Client } from '@outrigger/client'
import { describe, expect, it } from 'vitest'
import { findOwnUser, subjectOf } from './own-user.ts'

const tokenWith = (claims: unknown) => `h.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.s`
const { signal } = new AbortController()
const outside = { isInPod: false, signal }

/** Answers creations by their path; all others as a server that does not know the resource or refuses. */
function server(answers: Readonly<Record<string, (sent: never) => object | Promise<object>>>) {
  const asked: string[] = []
  const client: Pick<Client, 'raw'> = {
    async raw({ path, body }) {
      asked.push(path)
      const answer = Object.entries(answers).find(([end]) => path.endsWith(end))?.[1]
      if (answer === undefined) return { status: 404, headers: {}, body: Buffer.from('404 page not found') }
      const object = await answer(JSON.parse(String(body)) as never)
      return { status: 201, headers: {}, body: Buffer.from(JSON.stringify(object)) }
    },
  }
  return { client, asked }
}

describe('who we are', () => {
  it('is asked of servers that can be asked, and nothing else is sent there', async () => {
    const { client, asked } = server({
      selfsubjectreviews: () => ({ status: { userInfo: { username: 'ops' } } }),
    })
    expect(await findOwnUser(client, outside)).toBe('ops')
    expect(asked).toEqual(['/apis/authentication.k8s.io/v1/selfsubjectreviews'])
  })

  it('is read from the sender of a request that is not kept, on an older server', async () => {
    const { client, asked } = server({
      'certificatesigningrequests?dryRun=All': async ({ spec }: { spec: { request: string } }) => {
        await readSigningRequest(Buffer.from(spec.request, 'base64').toString('utf8'))
        return { spec: { ...spec, username: 'ops' } }
      },
    })
    expect(await findOwnUser(client, outside)).toBe('ops')
    expect(asked).toHaveLength(2)
  })

  it('is what the credentials say where the server says nothing', async () => {
    const { client } = server({})
    const now = Date.now()
    const authority = await createAuthority({ commonName: 'ca', now })
    const { certificate, privateKey: key } = await issueCertificate(authority, {
      commonName: 'kubernetes-admin',
      usages: ['client'],
      now,
    })
    const clientCertificate = { certificate, key }
    const asking = (credentials: object) => findOwnUser(client, { ...outside, credentials })
    expect(await asking({ clientCertificate })).toBe('kubernetes-admin')
    expect(await asking({ token: tokenWith({ sub: 'system:serviceaccount:ops:manager' }) })).toBe(
      'system:serviceaccount:ops:manager',
    )
    expect(await asking({ clientCertificate, impersonate: { user: 'somebody' } })).toBe('somebody')
  })

  it.each([
    ['without credentials', {}],
    ['by an opaque token', { token: 'opaque' }],
    [
      'by the token of an issuer that may put something in front of the name',
      { token: tokenWith({ sub: 'a@b' }) },
    ],
  ])('is not guessed %s', async (_, credentials) => {
    await expect(findOwnUser(server({}).client, { ...outside, credentials })).rejects.toThrow(
      'the API server answered 404 when asked who we are',
    )
  })
})

it('finds the user name of a service account in its token', () => {
  expect(subjectOf(tokenWith({ sub: 'system:serviceaccount:ops:manager' }))).toBe(
    'system:serviceaccount:ops:manager',
  )
})

it.each([['not a token'], [tokenWith({})], [tokenWith(null)]])('says so when there is none', (token) => {
  expect(() => subjectOf(token)).toThrow('does not say who we are')
})
