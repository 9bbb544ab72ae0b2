import { UserError } from '@outrigger/foundation'
import { describe, expect, test } from 'vitest'
import { environmentProxy, proxyLogin, proxyName, proxySetting } from './proxy-setting.ts'

const api = 'https://api.test:6443'

describe('environmentProxy', () => {
  test.each([
    [api, { HTTPS_PROXY: 'http://p:3128' }, 'http://p:3128'],
    [api, { https_proxy: 'http://p:3128' }, 'http://p:3128'],
    [api, { HTTPS_PROXY: '', https_proxy: 'http://lower:3128' }, 'http://lower:3128'],
    [api, { HTTPS_PROXY: 'http://upper', https_proxy: 'http://lower' }, 'http://upper'],
    [api, { HTTPS_PROXY: 'p:3128' }, 'http://p:3128'],
    [api, { HTTPS_PROXY: 'socks5://p' }, 'socks5://p'],
    [api, { HTTP_PROXY: 'http://p:3128' }, undefined],
    ['http://api.test', { HTTP_PROXY: 'http://p:3128' }, 'http://p:3128'],
    ['http://api.test', { HTTPS_PROXY: 'http://p:3128' }, undefined],
    [api, { HTTPS_PROXY: 'http://p', NO_PROXY: 'other,.test' }, undefined],
    [api, { HTTPS_PROXY: 'http://p', no_proxy: 'api.test:6443' }, undefined],
    [api, { HTTPS_PROXY: 'http://p', NO_PROXY: 'api.test:443' }, 'http://p'],
    ['https://10.96.0.1', { HTTPS_PROXY: 'http://p', NO_PROXY: '10.96.0.0/12' }, undefined],
    ['https://[fd00::1]:443', { HTTPS_PROXY: 'http://p', NO_PROXY: 'fd00::/16' }, undefined],
    ['https://localhost:6443', { HTTPS_PROXY: 'http://p' }, undefined],
    ['https://127.0.0.1:6443', { HTTPS_PROXY: 'http://p' }, undefined],
    ['https://[::1]:6443', { HTTPS_PROXY: 'http://p' }, undefined],
  ])('for %s, %j gives %s', (server, environment, url) => {
    expect(environmentProxy(server, environment)?.url).toBe(url)
  })

  test.each(['ftp://u:secret@p:21', 'socks4://u:secret@p', 'http://u:secret@p:port', 'http://u:secret@'])(
    'refuses %s without quoting it',
    (value) => {
      const thrown = catching(() => environmentProxy(api, { HTTPS_PROXY: value }))

      expect(thrown).toBeInstanceOf(UserError)
      expect(String(thrown)).toContain('HTTPS_PROXY')
      expect(String(thrown)).not.toContain('secret')
    },
  )
})

test('a name and password are taken out of the URL, and stay out of its name', () => {
  const proxy = proxySetting('http://us%40er:p%3Ass@P.test', 'HTTPS_PROXY')

  expect(proxyLogin(proxy)).toEqual({ username: 'us@er', password: 'p:ss' })
  expect(proxyName(proxy)).toBe('the proxy p.test:80 (HTTPS_PROXY)')
  expect(proxyName(proxySetting('socks5://[::1]', 'proxy-url of cluster c'))).toBe(
    'the proxy [::1]:1080 (proxy-url of cluster c)',
  )
})

function catching(work: () => unknown): unknown {
  try {
    return work()
  } catch (error) {
    return error
  }
}
