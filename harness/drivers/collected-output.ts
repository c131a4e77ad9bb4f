/** First size of a block; it is doubled as bytes come. */
const FIRST_BLOCK = 4096;

/**
 * What one stream of a command sent, in one block of memory: a device that sends single bytes costs no more than one that sends
 * packets, and no packet is kept alive by a piece of it.
 */
export class CollectedOutput {
  #block = Buffer.allocUnsafe(FIRST_BLOCK);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  append(bytes: Buffer): void {
    const needed = this.#length + bytes.length;
    if (needed > this.#block.length) {
      const larger = Buffer.allocUnsafe(Math.max(needed, this.#block.length * 2));
      this.#block.copy(larger, 0, 0, this.#length);
      this.#block = larger;
    }
    bytes.copy(this.#block, this.#length);
    this.#length = needed;
  }

  /** The bytes so far; valid until the next `append`. */
  bytes(): Buffer {
    return this.#block.subarray(0, this.#length);
  }
}
