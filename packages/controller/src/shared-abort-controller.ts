import { setMaxListeners } from 'node:events'

/** Far above what honest parts need, low enough to show a leak. */
const listenerLimit = 500

/** A controller whose signal many parts listen to; Node's default of ten listeners would call that a leak. */
export function sharedAbortController(): AbortController {
  const controller = new AbortController()
  setMaxListeners(listenerLimit, controller.signal)
  return controller
}
