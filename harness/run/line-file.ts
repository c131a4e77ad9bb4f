import { type Disk, realDisk, writeFully } from '../binding/disk.ts';
import { sealer } from '../binding/seal.ts';
import { attempt, EvidenceError } from './evidence-error.ts';

/**
 * A file that sealed lines are appended to, each handed to the operating system at once: a killed process loses none. A line that could not
 * be written is missed by every line after it, so a reader stops there: a gap is never read as evidence.
 */
export class LineFile {
  readonly file: string;
  readonly #disk: Disk;
  readonly #descriptor: number;
  readonly #lines = sealer();
  #open = true;

  /** @throws EvidenceError when there is such a file already, or it can not be made */
  constructor(file: string, disk: Disk = realDisk) {
    this.file = file;
    this.#disk = disk;
    this.#descriptor = attempt('open', file, () => disk.open(file, 'ax'));
  }

  /** @throws EvidenceError when the disk does not take it */
  append(line: object): void {
    if (!this.#open) throw new EvidenceError(`${this.file}: a line came after the run had ended.`);
    const bytes = Buffer.from(this.#lines.seal(line));
    attempt('append', this.file, () => writeFully(this.#disk, this.#descriptor, bytes));
  }

  /** What the last line was sealed with. */
  get sum(): string {
    return this.#lines.sum;
  }

  /** Forces what was written to the disk. @throws EvidenceError */
  sync(): void {
    attempt('sync', this.file, () => this.#disk.fsync(this.#descriptor));
  }

  /** Safe to call twice. @throws EvidenceError when the disk did not take all of it */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    attempt('close', this.file, () => {
      try {
        this.#disk.fsync(this.#descriptor);
      } finally {
        this.#disk.close(this.#descriptor);
      }
    });
  }
}
