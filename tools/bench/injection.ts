export async function benchInjection(): Promise<unknown> {
  return undefined
}
