// A sidecar that hands its listening socket over, as docs/guide/hot-upgrade-contract.md asks for. It answers HTTP on $PORT
// with $GREETING. Both containers of the sidecar run this program, or the empty image.
//
// The socket itself is passed through a unix socket in a folder that both containers mount: the kernel's queue of waiting
// connections belongs to it, so nobody is refused however often its owners change. Node passes sockets over the channel
// between a parent and its child, so a short-lived child of the giver speaks to a child of the taker.
//
// Two ways to break the contract, for the tests of the trial: HAND_OVER=wait says it is ready, and waits for the port to
// become free; HAND_OVER=crash ends where the port is taken.

import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { fileURLToPath } from 'node:url'

const { PORT = '8080', GREETING = 'hello', HAND_OVER = '/hand-over', READY = '/tmp/ready' } = process.env
const program = fileURLToPath(import.meta.url)
const handsOver = HAND_OVER.startsWith('/')
/** Milliseconds for open connections once this side is told to stop. */
const drainTime = 2_000
const retryEvery = 100
/** Milliseconds that the sidecar which does not keep the contract leaves a port alone that has become free. */
const hesitation = 500
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds))

const roles = { start, serve, carry }
await roles[process.argv[2] ?? 'start']()

/** Process 1: asks the other container for the socket, and starts what serves. */
async function start() {
  let server
  process.on('SIGTERM', () => (server === undefined ? process.exit(0) : server.kill('SIGTERM')))
  const giver = handsOver ? await findGiver() : undefined
  server = spawn(process.execPath, [program, 'serve'], {
    stdio: ['ignore', 'inherit', 'inherit', giver ?? 'ignore'],
    env: giver === undefined ? process.env : { ...process.env, NODE_CHANNEL_FD: '3' },
  })
  giver?.destroy()
  server.on('exit', (code) => process.exit(code ?? 1))
}

/** A connection to whoever offers the socket. Offers that nobody answers are left by containers that are gone. */
async function findGiver() {
  for (const name of readdirSync(HAND_OVER)) {
    const path = `${HAND_OVER}/${name}`
    const connection = await new Promise((resolve) => {
      const attempt = connect(path, () => resolve(attempt)).on('error', () => resolve(undefined))
    })
    if (connection !== undefined) return connection
    rmSync(path, { force: true })
  }
  return undefined
}

async function serve() {
  if (HAND_OVER === 'wait') writeFileSync(READY, '')
  const server = (process.channel && (await received())) ?? (await bound())
  const offer = handsOver ? await offerSocket(server) : ''
  // Only this asks to stop: until then the old side serves on, whatever becomes of the new one.
  process.on('SIGTERM', () => {
    rmSync(offer, { force: true })
    server.close(() => process.exit(0))
    setTimeout(() => process.exit(0), drainTime)
  })
  writeFileSync(READY, '')
  process.stdout.write(`${GREETING} serves on port ${PORT}\n`)
}

/** The listening socket that the other container gives; undefined when that ends without. */
function received() {
  return new Promise((resolve) => {
    process.once('disconnect', () => resolve(undefined))
    process.once('message', (_, server) => {
      server.on('connection', answer)
      resolve(server)
      setImmediate(() => process.disconnect())
    })
  })
}

/** A listening socket of our own, as soon as the port is free: a side that is ending holds it until it has drained. */
async function bound() {
  let hesitates = false
  for (;;) {
    const server = createServer(answer)
    const failure = await new Promise((resolve) => {
      server.once('error', resolve)
      server.listen(Number(PORT), () => resolve(undefined))
    })
    if (failure === undefined && !hesitates) return server
    if (failure !== undefined && (failure.code !== 'EADDRINUSE' || HAND_OVER === 'crash')) throw failure
    server.close()
    await pause(failure === undefined ? hesitation : retryEvery)
    hesitates = failure !== undefined && !handsOver
  }
}

/** From now on whoever connects is given the socket; answers with the path of the offer. */
async function offerSocket(server) {
  const path = `${HAND_OVER}/${randomUUID()}`
  const door = createServer({ pauseOnConnect: true }, (taker) => {
    const carrier = spawn(process.execPath, [program, 'carry'], {
      // Node has no public name for the number of a listening socket.
      stdio: ['ignore', 'inherit', 'inherit', taker, server._handle.fd],
      env: { ...process.env, NODE_CHANNEL_FD: '3' },
    })
    carrier.on('exit', () => taker.destroy())
  })
  door.unref()
  await new Promise((resolve) => door.listen(path, resolve))
  return path
}

/** Passes file 4, the listening socket, over file 3. Who holds a listening socket is given connections, and answers them. */
function carry() {
  const server = createServer(answer)
  server.listen({ fd: 4 }, () => process.send('the listening socket', server))
  process.on('disconnect', () => server.close(() => process.exit(0)))
}

function answer(connection) {
  connection.on('error', () => connection.destroy())
  connection.once('data', () =>
    connection.end(`HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\n${GREETING}\n`),
  )
}
