import { type Event, type EventsEvent, invalid, type KubeObject, required } from '@outrigger/kube'
import { checkName, type Errors } from '../field-checks.ts'
import { type KindBuilder, selectableOf } from '../kind-definition.ts'
import { qualifiedNameProblems } from '../name-rules.ts'
import { createStrategy } from '../strategy.ts'

/** What both groups call by different names: [core, events.k8s.io]. */
const renamed: readonly (readonly [string, string])[] = [
  ['involvedObject', 'regarding'],
  ['message', 'note'],
  ['reportingComponent', 'reportingController'],
  ['source', 'deprecatedSource'],
  ['firstTimestamp', 'deprecatedFirstTimestamp'],
  ['lastTimestamp', 'deprecatedLastTimestamp'],
  ['count', 'deprecatedCount'],
]

/** An event in the other group's words; a copy. */
function convertEvent(object: KubeObject, toApiVersion: string): KubeObject {
  if (object.apiVersion === toApiVersion) return object
  const toCore = toApiVersion === 'v1'
  const converted: Record<string, unknown> = { ...object, apiVersion: toApiVersion }
  for (const [core, events] of renamed) {
    const [from, to] = toCore ? [events, core] : [core, events]
    if (converted[from] !== undefined) converted[to] = converted[from]
    delete converted[from]
  }
  if (toCore) {
    converted.source ??= {}
    converted.firstTimestamp ??= null
    converted.lastTimestamp ??= null
    converted.reportingComponent ??= ''
    converted.reportingInstance ??= ''
  } else {
    converted.deprecatedSource ??= {}
    converted.deprecatedFirstTimestamp ??= null
    converted.deprecatedLastTimestamp ??= null
    if (converted.reportingController === '') delete converted.reportingController
    if (converted.reportingInstance === '') delete converted.reportingInstance
  }
  converted.eventTime ??= null
  return converted as unknown as KubeObject
}

const storage = {
  group: '',
  resource: 'events',
  version: 'v1',
  convert: async (objects: readonly KubeObject[], toApiVersion: string) =>
    objects.map((object) => convertEvent(object, toApiVersion)),
}

/** Events as `v1` has them. */
export const coreEventKind: KindBuilder = (schema) => ({
  strategy: createStrategy<Event>({
    schema,
    createsOnUpdate: true,
    validateCreate: (event) =>
      eventErrors(event, event.involvedObject, event.reportingComponent, 'involvedObject'),
    nameProblems: () => [],
  }),
  storage,
  selectable: selectableOf<Event>({
    'involvedObject.kind': ({ involvedObject }) => involvedObject?.kind,
    'involvedObject.namespace': ({ involvedObject }) => involvedObject?.namespace,
    'involvedObject.name': ({ involvedObject }) => involvedObject?.name,
    'involvedObject.uid': ({ involvedObject }) => involvedObject?.uid,
    'involvedObject.apiVersion': ({ involvedObject }) => involvedObject?.apiVersion,
    'involvedObject.resourceVersion': ({ involvedObject }) => involvedObject?.resourceVersion,
    'involvedObject.fieldPath': ({ involvedObject }) => involvedObject?.fieldPath,
    reason: ({ reason }) => reason,
    reportingComponent: ({ reportingComponent }) => reportingComponent,
    source: ({ source, reportingComponent }) => source?.component || reportingComponent,
    type: ({ type }) => type,
  }),
})

/** Events as `events.k8s.io/v1` has them, which asks for more. */
export const eventsEventKind: KindBuilder = (schema) => ({
  strategy: createStrategy<EventsEvent>({
    schema,
    createsOnUpdate: true,
    validateCreate(event) {
      const errors = eventErrors(event, event.regarding, event.reportingController, 'regarding')
      checkNewStyle(errors, event)
      return errors
    },
    nameProblems: () => [],
  }),
  storage,
  selectable: selectableOf<EventsEvent>({
    'regarding.kind': ({ regarding }) => regarding?.kind,
    'regarding.namespace': ({ regarding }) => regarding?.namespace,
    'regarding.name': ({ regarding }) => regarding?.name,
    'regarding.uid': ({ regarding }) => regarding?.uid,
    'regarding.apiVersion': ({ regarding }) => regarding?.apiVersion,
    'regarding.resourceVersion': ({ regarding }) => regarding?.resourceVersion,
    'regarding.fieldPath': ({ regarding }) => regarding?.fieldPath,
    reason: ({ reason }) => reason,
    reportingController: ({ reportingController }) => reportingController,
    type: ({ type }) => type,
  }),
})

function eventErrors(
  event: Event | EventsEvent,
  about: { readonly namespace?: string } | undefined,
  controller: string | undefined,
  field: 'involvedObject' | 'regarding',
): Errors {
  const errors: Errors = []
  const own = event.metadata.namespace ?? ''
  const theirs = about?.namespace ?? ''
  const agrees = theirs === '' ? own === '' || own === 'default' : own === theirs
  if (!agrees) errors.push(invalid(`involvedObject.namespace`, theirs, 'does not match event.namespace'))
  if (!event.eventTime) return errors
  const controllerField = field === 'involvedObject' ? 'reportingComponent' : 'reportingController'
  if (!controller) errors.push(required(controllerField))
  checkName(errors, controllerField, controller ?? '', qualifiedNameProblems)
  const instance = event.reportingInstance ?? ''
  if (instance === '') errors.push(required('reportingInstance'))
  checkLength(errors, 'reportingInstance', instance, 128)
  if (!event.action) errors.push(required('action'))
  checkLength(errors, 'action', event.action ?? '', 128)
  if (!event.reason) errors.push(required('reason'))
  checkLength(errors, 'reason', event.reason ?? '', 128)
  const message = (event as Event).message ?? (event as EventsEvent).note ?? ''
  checkLength(errors, 'message', message, 1024)
  return errors
}

function checkLength(errors: Errors, field: string, text: string, most: number): void {
  if (text.length > most) errors.push(invalid(field, '', `can have at most ${most} characters`))
}

function checkNewStyle(errors: Errors, event: EventsEvent): void {
  if (!event.eventTime) errors.push(required('eventTime'))
  if (event.type !== 'Normal' && event.type !== 'Warning')
    errors.push(invalid('type', '', `has invalid value: ${event.type ?? ''}`))
  const unset = 'needs to be unset'
  if (event.deprecatedFirstTimestamp) errors.push(invalid('firstTimestamp', '', unset))
  if (event.deprecatedLastTimestamp) errors.push(invalid('lastTimestamp', '', unset))
  if (event.deprecatedCount) errors.push(invalid('count', '', unset))
  if (event.deprecatedSource?.component || event.deprecatedSource?.host)
    errors.push(invalid('source', '', unset))
}
