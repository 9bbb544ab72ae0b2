import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UserError } from '@outrigger/foundation'
import { describe, expect, onTestFinished, test } from 'vitest'
import { inClusterConfig } from './in-cluster-config.ts'
import { loadKubeconfig } from './kubeconfig.ts'

const base64 = (text: string) => Buffer.from(text).toString('base64')

describe('loadKubeconfig', () => {
  test('reads the current context with data in place and files beside it', () => {
    const folder = aFolder({
      'pki/key.pem': 'the key',
      config: {
        'current-context': 'here',
        contexts: [{ name: 'here', context: { cluster: 'c', user: 'u', namespace: 'apps' } }],
        clusters: [
          {
            name: 'c',
            cluster: {
              server: 'https://api.test:6443',
              'certificate-authority-data': base64('the ca'),
              'tls-server-name': 'api',
            },
          },
        ],
        users: [
          {
            name: 'u',
            user: { 'client-certificate-data': base64('the cert'), 'client-key': 'pki/key.pem', token: '' },
          },
        ],
      },
    })

    const config = load({ path: join(folder, 'config') })

    expect(config).toEqual({
      server: 'https://api.test:6443',
      certificateAuthority: 'the ca',
      serverName: 'api',
      namespace: 'apps',
      credentials: {
        clientCertificate: {
          certificate: 'the cert',
          key: 'the key',
          keyFile: join(folder, 'pki/key.pem'),
        },
      },
    })
  })

  test('merges the files of KUBECONFIG, the first definition winning and missing files ignored', () => {
    const folder = aFolder({
      a: { contexts: [{ name: 'x', context: { cluster: 'c' } }], 'current-context': 'x' },
      b: {
        'current-context': 'y',
        contexts: [{ name: 'x', context: { cluster: 'other' } }],
        clusters: [{ name: 'c', cluster: { server: 'https://c.test' } }],
      },
    })

    const config = load({}, { KUBECONFIG: ['missing', 'a', 'b'].map((name) => join(folder, name)).join(':') })

    expect(config).toEqual({ server: 'https://c.test' })
  })

  test('reads YAML', () => {
    const text = `
apiVersion: v1
kind: Config
current-context: x
contexts: [{ name: x, context: { cluster: c, user: u } }]
clusters:
- name: c
  cluster:
    server: https://c.test
    insecure-skip-tls-verify: true
users:
- name: u
  user: { tokenFile: ./token, as: jane, as-groups: [dev, ops] }
`
    const folder = aFolder({ config: text })

    expect(load({ path: join(folder, 'config') })).toEqual({
      server: 'https://c.test',
      acceptsAnyServer: true,
      credentials: {
        tokenFile: join(folder, 'token'),
        impersonate: { user: 'jane', groups: ['dev', 'ops'] },
      },
    })
  })

  test('takes the proxy of the cluster, whatever NO_PROXY says, else that of the environment', () => {
    const environment = { HTTPS_PROXY: 'http://env:3128', NO_PROXY: '*' }
    const named = { config: aConfig({}, { 'proxy-url': 'socks5://named' }) }
    const unnamed = { config: aConfig({}) }

    expect(load({ path: join(aFolder(named), 'config') }, environment).proxy).toEqual({
      url: 'socks5://named',
      source: 'proxy-url of cluster c',
    })
    expect(load({ path: join(aFolder(unnamed), 'config') }, environment).proxy).toBeUndefined()
    expect(load({ path: join(aFolder(unnamed), 'config') }, { ...environment, NO_PROXY: '' }).proxy).toEqual({
      url: 'http://env:3128',
      source: 'HTTPS_PROXY',
    })
  })

  test('reads whom to impersonate', () => {
    const user = { as: 'jane', 'as-uid': '7', 'as-groups': ['a'], 'as-user-extra': { scopes: ['x', 'y'] } }
    const path = join(aFolder({ config: aConfig(user) }), 'config')

    expect(load({ path }).credentials?.impersonate).toEqual({
      user: 'jane',
      uid: '7',
      groups: ['a'],
      extra: { scopes: ['x', 'y'] },
    })
  })

  test('tells plugins of the cluster where they want to know', () => {
    const exec = {
      apiVersion: 'client.authentication.k8s.io/v1beta1',
      command: 'login',
      provideClusterInfo: true,
      interactiveMode: 'IfAvailable',
    }
    const cluster = {
      'proxy-url': 'http://p',
      'tls-server-name': 'api',
      'certificate-authority': 'ca.pem',
      extensions: [{ name: 'client.authentication.k8s.io/exec', extension: { audience: 'x' } }],
    }
    const folder = aFolder({ config: aConfig({ exec }, cluster), 'ca.pem': 'the ca' })

    const config = load({ path: join(folder, 'config') })

    expect(config.certificateAuthorityFile).toBe(join(folder, 'ca.pem'))
    expect(config.credentials?.exec?.cluster).toEqual({
      server: 'https://c.test',
      'tls-server-name': 'api',
      'proxy-url': 'http://p',
      'certificate-authority-data': base64('the ca'),
      config: { audience: 'x' },
    })
  })

  test('starts the relative paths of each file at that file', () => {
    const folder = aFolder({
      'a/config': { 'current-context': 'x', contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }] },
      'b/config': {
        clusters: [{ name: 'c', cluster: { server: 'https://c.test', 'certificate-authority': 'ca.pem' } }],
      },
      'b/ca.pem': 'the ca of b',
      'c/config': { users: [{ name: 'u', user: { tokenFile: '../token' } }] },
    })
    const KUBECONFIG = ['a', 'b', 'c'].map((name) => join(folder, name, 'config')).join(':')

    expect(load({}, { KUBECONFIG })).toEqual({
      server: 'https://c.test',
      certificateAuthority: 'the ca of b',
      certificateAuthorityFile: join(folder, 'b/ca.pem'),
      credentials: { tokenFile: join(folder, 'token') },
    })
  })

  test('reads credential plugins, whose relative commands start at the file', () => {
    const folder = aFolder({
      config: aConfig({
        exec: {
          apiVersion: 'client.authentication.k8s.io/v1',
          command: './login',
          args: ['--quiet'],
          env: [{ name: 'REGION', value: 'r' }],
        },
      }),
    })

    const config = load({ path: join(folder, 'config') }, { PATH: '/bin' })

    expect(config.credentials?.exec).toEqual({
      apiVersion: 'client.authentication.k8s.io/v1',
      command: join(folder, 'login'),
      args: ['--quiet'],
      environment: { PATH: '/bin', REGION: 'r' },
    })
  })

  test.each([
    ['no file', {}, {}, /there is no kubeconfig at .*; set KUBECONFIG/],
    [
      'text that is not YAML',
      { config: 'tab\t: {' },
      {},
      /config is not YAML \(line 1, column \d+\); check the file/,
    ],
    ['no current context', { config: {} }, {}, /has no current context; name one with --context/],
    ['an unknown context', { config: aConfig({}) }, { context: 'z' }, /no context called z; use one of: x/],
    [
      'a proxy of another kind',
      { config: aConfig({}, { 'proxy-url': 'ftp://me:secret@p' }) },
      {},
      /^the proxy in proxy-url of cluster c is a "ftp" one, which is not supported; give it as http/,
    ],
    ['what is not base64', { config: aConfig({}, { 'certificate-authority-data': '%%' }) }, {}, /not base64/],
    ['an auth-provider', { config: aConfig({ 'auth-provider': { name: 'gcp' } }) }, {}, /use a credential/],
    ['groups of nobody', { config: aConfig({ 'as-groups': ['a'] }) }, {}, /impersonates nobody/],
    [
      'a plugin that must ask',
      {
        config: aConfig({
          exec: {
            apiVersion: 'client.authentication.k8s.io/v1',
            command: 'login',
            interactiveMode: 'Always',
          },
        }),
      },
      {},
      /must be able to ask questions .*; use one that works without a terminal/,
    ],
    ['half a key pair', { config: aConfig({ 'client-key-data': 'a' }) }, {}, /but not both/],
    ['a missing file', { config: aConfig({ 'client-key': 'gone.pem' }) }, {}, /gone.pem as client-key/],
  ])('says what is wrong and what to do about %s', (_, files, options, message) => {
    const path = join(aFolder(files), 'config')

    expect(() => load({ path, ...options })).toThrow(message)
    expect(() => load({ path, ...options })).toThrow(UserError)
  })
})

describe('inClusterConfig', () => {
  test('reads the mounted service account', () => {
    const folder = aFolder({ 'ca.crt': 'the ca', namespace: 'kube-system', token: 't' })
    const environment = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' }

    expect(inClusterConfig({ environment, folder })).toEqual({
      server: 'https://[fd00::1]:443',
      certificateAuthority: 'the ca',
      certificateAuthorityFile: join(folder, 'ca.crt'),
      namespace: 'kube-system',
      credentials: { tokenFile: join(folder, 'token') },
    })
  })

  test('goes through the proxy of the environment, as other programs in the pod do', () => {
    const folder = aFolder({ 'ca.crt': 'the ca', namespace: '', token: 't' })
    const environment = {
      KUBERNETES_SERVICE_HOST: '10.96.0.1',
      KUBERNETES_SERVICE_PORT: '443',
      HTTPS_PROXY: 'http://p:3128',
    }

    expect(inClusterConfig({ environment, folder }).proxy?.url).toBe('http://p:3128')
    expect(
      inClusterConfig({ environment: { ...environment, NO_PROXY: '10.96.0.0/12' }, folder }).proxy,
    ).toBeUndefined()
  })

  test('says that this is not a pod', () => {
    expect(() => inClusterConfig({ environment: {} })).toThrow('this is not the inside of a pod')
  })
})

function load(
  options: { path?: string; context?: string },
  environment: Readonly<Record<string, string>> = {},
) {
  return loadKubeconfig({ ...options, environment })
}

function aConfig(user: Record<string, unknown>, cluster: Record<string, unknown> = {}) {
  return {
    'current-context': 'x',
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    clusters: [{ name: 'c', cluster: { server: 'https://c.test', ...cluster } }],
    users: [{ name: 'u', user }],
  }
}

function aFolder(files: Readonly<Record<string, unknown>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'kubeconfig-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(join(folder, name, '..'), { recursive: true })
    writeFileSync(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content))
  }
  return folder
}
