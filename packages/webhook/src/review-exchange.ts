import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Clock, type Logger, messageOf } from '@outrigger/foundation'
import { BadReview } from './bad-review.ts'
import type { DeadlineSlot, DeadlineWheel, Expiring } from './deadline-wheel.ts'
import type { PathCounter } from './webhook-statistics.ts'

/** What is served at one path. */
export interface ReviewRoute {
  readonly path: string
  readonly counter: PathCounter
  /** The JSON to send back for a body. @throws BadReview */
  readonly answer: (body: unknown, signal: AbortSignal) => Promise<string> | string
}

/** What all exchanges of a server share. */
export interface ExchangeContext {
  readonly clock: Clock
  readonly logger: Logger
  readonly wheel: DeadlineWheel
  readonly maxBodyBytes: number
  /** Counters of the whole server. */
  readonly totals: { inFlight: number; tooLarge: { requests: number; bytes: number } }
}

/** A sender this far over the limit is cut off; until there it may finish, so that it reads why. */
const patience = 4

/**
 * One review from its headers to its answer. It listens to events and keeps no promise while the body comes: a
 * review arrives in one or two pieces, and each turn of an iterator or promise costs as much as a part of the plan.
 */
export class ReviewExchange implements Expiring {
  readonly #route: ReviewRoute
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #context: ExchangeContext
  readonly #began: number
  readonly #deadline: number
  readonly #slot: DeadlineSlot
  #chunks: Buffer[] = []
  #size = 0
  #isComplete = false
  #isOver = false

  /** Begins at once; `deadline` in milliseconds. */
  constructor(
    route: ReviewRoute,
    deadline: number,
    request: IncomingMessage,
    response: ServerResponse,
    context: ExchangeContext,
  ) {
    this.#route = route
    this.#request = request
    this.#response = response
    this.#context = context
    this.#deadline = deadline
    this.#began = context.clock.monotonic()
    this.#slot = context.wheel.add(this, deadline)
    route.counter.inFlight++
    context.totals.inFlight++
    response.on('close', () => this.#leave())
    const bad = refusalOf(request)
    const announced = Number(request.headers['content-length'] ?? 0)
    if (bad !== undefined) this.#fail(bad)
    else if (announced > context.maxBodyBytes * patience) this.#failTooLarge(announced)
    else {
      request.on('data', (chunk: Buffer) => this.#take(chunk))
      request.on('end', () => this.#read())
    }
  }

  /** The time is over: of the sender, if the body is not there yet, else of the handler. */
  expire(): void {
    if (this.#isOver) return
    this.#route.counter.timeouts++
    if (this.#isComplete) {
      const message = `review at ${this.#route.path} did not finish within ${this.#deadline} ms`
      this.#context.logger.error('review could not be answered', { path: this.#route.path, error: message })
      this.#send(504, 'text/plain; charset=utf-8', `${message}\n`)
    } else {
      const message = `the body did not arrive within ${this.#deadline} ms: ${this.#size} bytes did`
      this.#fail(new BadReview(message, 408))
    }
  }

  #take(chunk: Buffer): void {
    this.#size += chunk.length
    const { maxBodyBytes } = this.#context
    if (this.#size <= maxBodyBytes) this.#chunks.push(chunk)
    else if (this.#size <= maxBodyBytes * patience) this.#chunks = []
    else this.#failTooLarge(this.#size)
  }

  #read(): void {
    if (this.#isOver) return
    this.#isComplete = true
    if (this.#size <= this.#context.maxBodyBytes) this.#answer()
    else this.#failTooLarge(this.#size)
  }

  #answer(): void {
    const [first] = this.#chunks
    try {
      const bytes = this.#chunks.length === 1 && first !== undefined ? first : Buffer.concat(this.#chunks)
      this.#chunks = []
      const answer = this.#route.answer(parseBody(bytes.toString('utf8')), this.#slot.signal)
      if (typeof answer === 'string') this.#succeed(answer)
      else
        answer.then(
          (text) => this.#succeed(text),
          (error: unknown) => this.#fail(error),
        )
    } catch (error) {
      this.#fail(error)
    }
  }

  #succeed(content: string): void {
    this.#send(200, 'application/json', content)
  }

  #failTooLarge(bytes: number): void {
    if (this.#isOver) return
    const { totals, maxBodyBytes } = this.#context
    totals.tooLarge.requests++
    totals.tooLarge.bytes += bytes
    this.#fail(new BadReview(`the body has more than ${maxBodyBytes} bytes: ${bytes} or more`, 413))
  }

  /** A defect is answered as such and not as a refusal: whether the write goes through is for failurePolicy to say. */
  #fail(error: unknown): void {
    if (this.#isOver) return
    const cause = isStackOverflow(error) ? new BadReview('the review is nested too deeply to be read') : error
    const status = cause instanceof BadReview ? cause.status : 500
    const fields = { path: this.#route.path, error: messageOf(cause) }
    if (cause instanceof BadReview) this.#context.logger.debug('bad review', fields)
    else
      this.#context.logger.error('review could not be answered', {
        ...fields,
        ...(cause instanceof Error && { stack: cause.stack }),
      })
    this.#send(status, 'text/plain; charset=utf-8', `${firstLine(messageOf(cause))}\n`)
  }

  #send(status: number, type: string, content: string): void {
    if (!this.#leave()) return
    const { counter } = this.#route
    counter.answered(status, this.#context.clock.monotonic() - this.#began)
    const headers = ['content-type', type, 'content-length', String(Buffer.byteLength(content))]
    // What is left of a body that nobody reads must not be taken for the next request.
    if (!this.#isComplete) headers.push('connection', 'close')
    this.#response.writeHead(status, headers)
    // After all reviews that have arrived together: each answer wakes the caller, and woken once for all of them both
    // sides get more done. A single one goes out at once.
    setImmediate(() => this.#response.end(content))
    if (!this.#isComplete) this.#request.resume()
  }

  /** Ends the exchange. False when it had ended before; without an answer when the caller went away. */
  #leave(): boolean {
    if (this.#isOver) return false
    this.#isOver = true
    this.#chunks = []
    this.#slot.delete(this)
    this.#context.totals.inFlight--
    const { counter } = this.#route
    counter.inFlight--
    if (this.#response.destroyed) counter.abandoned++
    return !this.#response.destroyed
  }
}

/** Why the body will not be what we read. A missing content type is taken for JSON. */
function refusalOf({ headers }: IncomingMessage): BadReview | undefined {
  const type = headers['content-type']
  if (type !== undefined && type !== 'application/json' && !/^application\/json\s*(;|$)/i.test(type))
    return new BadReview(`content-type is ${JSON.stringify(type)}; reviews are application/json`, 415)
  const encoding = headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity')
    return new BadReview(`content-encoding is ${JSON.stringify(encoding)}; reviews are sent as they are`, 415)
  return undefined
}

function parseBody(text: string): unknown {
  if (text === '') throw new BadReview('the body is empty')
  try {
    return JSON.parse(text)
  } catch (error) {
    if (isStackOverflow(error)) throw error
    const position = /at position (\d+)/.exec(messageOf(error))?.[1]
    const isCut = /end of JSON input|Unterminated string/.test(messageOf(error))
    throw new BadReview(
      `the body is not JSON: it ${isCut ? 'ends too early' : `goes wrong at character ${position ?? 0}`}`,
    )
  }
}

function isStackOverflow(error: unknown): boolean {
  return error instanceof RangeError && error.message.includes('call stack')
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? ''
}
