import type { Node, Pod } from '@outrigger/kube'
import { isFinished } from '../pods/pod-state.ts'
import { type ExistingNode, NodeView } from './node-view.ts'

/**
 * The scheduler's picture of nodes and of what is placed on them, kept by events: a pod event costs
 * work for that pod's node only.
 *
 * A pod can be *assumed* on a node before the binding is seen; the event that shows the pod elsewhere,
 * finished or gone corrects the picture.
 */
export class ClusterView {
  readonly #nodes = new Map<string, NodeView>()
  /** Where each pod was put last, by uid. */
  readonly #places = new Map<string, string>()

  /** Nodes that exist. */
  nodes(): readonly ExistingNode[] {
    return [...this.#nodes.values()].filter(hasNode)
  }

  setNode(node: Node): void {
    this.#view(node.metadata.name).node = node
  }

  removeNode(name: string): void {
    const view = this.#nodes.get(name)
    if (view === undefined) return
    view.node = undefined
    if (view.pods.size === 0) this.#nodes.delete(name)
  }

  /** Records where a pod is according to the API, or that it takes no place any more. */
  setPod(pod: Pod): void {
    const uid = pod.metadata.uid ?? ''
    const nodeName = pod.spec.nodeName ?? ''
    const place = this.#places.get(uid)
    if (nodeName === '' || isFinished(pod)) {
      if (nodeName !== '' || place === undefined) this.removePod(uid)
      return
    }
    if (place !== undefined && place !== nodeName) this.removePod(uid)
    this.assume(pod, nodeName)
  }

  /** Counts the pod on the node before the API shows it there. */
  assume(pod: Pod, nodeName: string): void {
    this.#places.set(pod.metadata.uid ?? '', nodeName)
    this.#view(nodeName).place(pod)
  }

  removePod(uid: string): void {
    const place = this.#places.get(uid)
    if (place === undefined) return
    this.#places.delete(uid)
    const view = this.#nodes.get(place)
    view?.remove(uid)
    if (view !== undefined && view.node === undefined && view.pods.size === 0) this.#nodes.delete(place)
  }

  #view(name: string): NodeView {
    let view = this.#nodes.get(name)
    if (view === undefined) {
      view = new NodeView(name)
      this.#nodes.set(name, view)
    }
    return view
  }
}

function hasNode(view: NodeView): view is ExistingNode {
  return view.node !== undefined
}
