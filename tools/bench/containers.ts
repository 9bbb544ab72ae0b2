export async function benchContainers(): Promise<unknown> {
  return undefined
}
