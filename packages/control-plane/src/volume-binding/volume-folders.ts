/** Where volumes lie that are folders of this machine. Handed in: this room touches no files. */
export interface VolumeFolders {
  /** The folder of a volume, absolute. */
  path(name: string): string
  /** Makes it, for anybody to write into. Repeatable. */
  make(name: string): Promise<void>
  /** Removes it with what is in it, and nothing outside of it. Repeatable. */
  remove(name: string): Promise<void>
}
