/** One room of the house: what it may import, what it may know, which libraries it owns. */
export interface Room {
  readonly floor: number
  /** Rooms whose door it may enter. */
  readonly mayImport: readonly string[]
  /** Node's own modules it may use; pure rooms have none. */
  readonly mayKnow: readonly ('files' | 'network' | 'processes' | 'buffers')[]
  /** Third-party libraries. */
  readonly owns: readonly string[]
}

const room = (
  floor: number,
  mayImport: readonly string[],
  mayKnow: Room['mayKnow'] = [],
  owns: readonly string[] = [],
): Room => ({
  floor,
  mayImport,
  mayKnow,
  owns,
})

/** The house. ARCHITECTURE.md explains it; `check-rooms` holds every import against it. */
export const rooms: Readonly<Record<string, Room>> = {
  foundation: room(0, [], ['buffers']),
  kube: room(0, [], [], ['yaml']),
  api: room(1, ['kube'], ['buffers']),
  certificates: room(
    1,
    ['foundation'],
    ['files', 'network', 'buffers'],
    ['@peculiar/x509', 'reflect-metadata'],
  ),
  client: room(1, ['foundation', 'kube'], ['files', 'network', 'processes', 'buffers'], ['ws']),
  injection: room(2, ['api', 'kube']),
  controller: room(2, ['client', 'foundation', 'kube'], ['buffers']),
  webhook: room(2, ['certificates', 'foundation', 'kube'], ['network', 'buffers']),
  apiserver: room(
    2,
    ['certificates', 'foundation', 'kube'],
    ['files', 'network', 'buffers'],
    ['lmdb', '@marcbachmann/cel-js', 're2js'],
  ),
  operator: room(
    3,
    ['injection', 'controller', 'webhook', 'certificates', 'api', 'client', 'foundation', 'kube'],
    ['buffers'],
  ),
  kubelet: room(
    3,
    ['controller', 'certificates', 'client', 'foundation', 'kube'],
    ['files', 'network', 'processes', 'buffers'],
    ['ws'],
  ),
  'control-plane': room(3, ['controller', 'client', 'foundation', 'kube']),
  'runtime-cri': room(
    4,
    ['kubelet/runtime', 'foundation'],
    ['files', 'network', 'processes', 'buffers'],
    ['@grpc/grpc-js', 'protobufjs', 'ws'],
  ),
  'runtime-sim': room(4, ['kubelet/runtime', 'foundation'], ['network', 'buffers']),
  testkit: room(
    4,
    [
      'operator',
      'kubelet',
      'kubelet/runtime',
      'control-plane',
      'runtime-sim',
      'injection',
      'controller',
      'webhook',
      'apiserver',
      'api',
      'certificates',
      'client',
      'foundation',
      'kube',
    ],
    ['files', 'network', 'processes', 'buffers'],
  ),
}

/** Which of Node's modules a card's words stand for. */
export const nodeModules: Readonly<Record<Room['mayKnow'][number], readonly string[]>> = {
  files: ['fs', 'fs/promises', 'path', 'os'],
  network: ['http', 'http2', 'https', 'net', 'tls', 'dns', 'dns/promises'],
  processes: ['child_process', 'process', 'worker_threads'],
  buffers: [
    'buffer',
    'crypto',
    'stream',
    'stream/promises',
    'zlib',
    'events',
    'util',
    'url',
    'string_decoder',
    'timers/promises',
    'async_hooks',
    'perf_hooks',
  ],
}
