import path from 'node:path';
import { type Disk, realDisk, syncFolder, writeFully } from '../binding/disk.ts';
import { type Sealer, sealer, sumOf, unsealed } from '../binding/seal.ts';
import type { RecordLine, Step } from '../model/record.ts';
import type { RunVerdict } from '../model/verdict.ts';

/** Evidence could not be written or read. Never the product's fault, and not the lab's. */
export class EvidenceError extends Error {
  override readonly name = 'EvidenceError';
}

/** Facts about where and when a run was made. They differ between two runs of one seed, so they stay out of the record. */
export interface HostFacts {
  readonly begun: string;
  readonly ended: string | null;
  readonly tookMs: number | null;
  readonly node: string;
  readonly platform: string;
  readonly cpus: number;
  /** Commit of the scenarios, with `+changes` when the tree was not clean; null outside a repository. */
  readonly commit: string | null;
}

export interface RunFolderOptions {
  /** Folder of all runs; made when it is not there. */
  readonly root: string;
  readonly at: Date;
  readonly title: string;
  readonly world: string;
  readonly seed: number;
  readonly disk?: Disk;
}

export const RUN_FILES = {
  record: 'record.ndjson',
  steps: 'steps.ndjson',
  host: 'host.json',
  verdict: 'verdict.json',
} as const;

/** At these lines the record is forced to the disk: what was injected and healed must outlive a power cut. */
const SYNC_AFTER: ReadonlySet<RecordLine['kind']> = new Set(['run', 'phase', 'fault', 'heal', 'end']);

/**
 * The folder of one run: `<UTC stamp>-<slug>-<world>-s<seed>`.
 *
 * `record.ndjson` is append-only; every line is handed to the operating system at once (a killed process loses none) and
 * forced to disk at phases, faults and heals. `steps.ndjson` holds the raw commands with wall times, `host.json` the host,
 * `verdict.json` what was concluded (it may be judged again).
 */
export class RunFolder {
  readonly path: string;
  readonly #disk: Disk;
  readonly #record: Appended;
  readonly #steps: Appended;
  #open = true;

  /** @throws EvidenceError when the folder can not be made */
  constructor(options: RunFolderOptions) {
    this.#disk = options.disk ?? realDisk;
    this.path = makeFolder(options, this.#disk);
    this.#record = this.#begin('record');
    this.#steps = this.#begin('steps');
    attempt('sync', this.path, () => syncFolder(this.#disk, this.path));
  }

  #begin(name: keyof typeof RUN_FILES): Appended {
    const file = this.file(name);
    return { descriptor: attempt('open', file, () => this.#disk.open(file, 'ax')), lines: sealer() };
  }

  file(name: keyof typeof RUN_FILES): string {
    return path.join(this.path, RUN_FILES[name]);
  }

  /** @throws EvidenceError when the disk does not take it */
  record(line: RecordLine): void {
    this.#append(this.#record, 'record', line);
    if (SYNC_AFTER.has(line.kind))
      attempt('sync', this.file('record'), () => this.#disk.fsync(this.#record.descriptor));
  }

  /** @throws EvidenceError when the disk does not take it */
  step(step: Step): void {
    this.#append(this.#steps, 'steps', step);
  }

  /** One that could not be written is missed by every line after it: the seal makes the reader stop there. */
  #append({ descriptor, lines }: Appended, name: keyof typeof RUN_FILES, line: RecordLine | Step): void {
    if (!this.#open) throw new EvidenceError(`${this.file(name)}: a line came after the run had ended.`);
    attempt('append', this.file(name), () => writeFully(this.#disk, descriptor, Buffer.from(lines.seal(line))));
  }

  /**
   * A file of lines that the world was asked for.
   *
   * @throws EvidenceError when the name can not be one, or the disk does not take it
   */
  attach(name: string, lines: readonly string[]): void {
    const file = path.join(this.path, name);
    if (!/^[a-z\d-]{1,60}\.ndjson$/.test(name) || (Object.values(RUN_FILES) as string[]).includes(name))
      throw new EvidenceError(`${name} is no name for a file beside the record.`);
    attempt('write', file, () => {
      const descriptor = this.#disk.open(file, 'wx');
      try {
        for (const line of lines) writeFully(this.#disk, descriptor, Buffer.from(`${line}\n`));
      } finally {
        this.#disk.close(descriptor);
      }
    });
  }

  host(facts: HostFacts): void {
    writeJson(this.file('host'), facts, this.#disk);
  }

  verdict(verdict: RunVerdict): void {
    writeVerdict(this.path, verdict, this.#disk);
  }

  /** Safe to call twice. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    const files = [
      ['record', this.#record],
      ['steps', this.#steps],
    ] as const;
    // One that fails must not leave the other open.
    const failed = files.flatMap(([name, { descriptor }]) => {
      try {
        attempt('close', this.file(name), () => {
          try {
            this.#disk.fsync(descriptor);
          } finally {
            this.#disk.close(descriptor);
          }
        });
        return [];
      } catch (error) {
        return [error];
      }
    });
    if (failed.length > 0) throw failed[0];
  }
}

/** A file that lines are appended to. */
interface Appended {
  readonly descriptor: number;
  readonly lines: Sealer;
}

/** The verdict beside its record, with a checksum of its own; replaces an older one in one step. @throws EvidenceError */
export const writeVerdict = (folder: string, verdict: RunVerdict, disk: Disk = realDisk): void =>
  writeJson(path.join(folder, RUN_FILES.verdict), { ...verdict, sum: sumOf(verdict) }, disk);

/** What a file of lines holds, and why its end was left out, when it was. */
export interface ReadLines<T> {
  readonly lines: readonly T[];
  readonly truncated?: string;
}

/**
 * Reads the record of a run. A line that was cut off when the run was killed ends the reading: the valid prefix is returned
 * and `truncated` says so.
 *
 * @throws EvidenceError when there is no record, it is of another format, or it does not begin with its run line
 */
export function readRecord(folder: string): ReadLines<RecordLine> {
  const file = path.join(folder, RUN_FILES.record);
  const read = readSealed<RecordLine>(file);
  const [first] = read.lines;
  if (first === undefined)
    throw new EvidenceError(`${file} holds no line${read.truncated ? `: ${read.truncated}` : ''}.`);
  if (first.kind !== 'run') throw new EvidenceError(`${file} begins with a ${first.kind} line, not with its run line.`);
  if (first.format !== 1)
    throw new EvidenceError(`${file} has format ${String(first.format)}; this Farspan reads format 1.`);
  for (const [i, { kind }] of read.lines.entries()) {
    const at = `${file}:${i + 1}`;
    if (!KINDS.has(kind))
      throw new EvidenceError(`${at} is of no known kind; the record was damaged or is a newer one.`);
    if (kind === 'run' && i > 0)
      throw new EvidenceError(`${at} is a second run line: this file holds more than one run.`);
    if (read.lines[i - 1]?.kind === 'end') throw new EvidenceError(`${at} comes after the end of the run.`);
  }
  return read;
}

const KINDS: ReadonlySet<string> = new Set(
  Object.keys({
    run: 0,
    testbed: 0,
    phase: 0,
    fault: 0,
    effect: 0,
    heal: 0,
    round: 0,
    probe: 0,
    flow: 0,
    counters: 0,
    clock: 0,
    event: 0,
    truth: 0,
    end: 0,
  } satisfies Record<RecordLine['kind'], 0>),
);

/** The raw commands of a run; empty when it had none. @throws EvidenceError when they can not be read */
export const readSteps = (folder: string): ReadLines<Step> => readSealed<Step>(path.join(folder, RUN_FILES.steps));

/** A file that the world added; empty when it did not. @throws EvidenceError when it can not be read */
export const readAttachment = (folder: string, name: string): ReadLines<object> =>
  realDisk.exists(path.join(folder, name)) ? readNdjson<object>(path.join(folder, name)) : { lines: [] };

/**
 * Undefined when the run was killed before its verdict.
 *
 * @throws EvidenceError when it can not be read, or is not as it was written
 */
export function readVerdict(folder: string): RunVerdict | undefined {
  const file = path.join(folder, RUN_FILES.verdict);
  const stored = readJson<RunVerdict & { readonly sum?: string }>(file);
  if (stored === undefined) return undefined;
  const { sum, ...verdict } = stored;
  if (sum !== sumOf(verdict))
    throw new EvidenceError(
      `${file} was changed or damaged: its checksum does not fit.\n  The record is judged anew with: farspan judge ${folder}`,
    );
  return verdict;
}

/** Undefined when it was never written. @throws EvidenceError when it can not be read */
export const readHost = (folder: string): HostFacts | undefined =>
  readJson<HostFacts>(path.join(folder, RUN_FILES.host));

function readSealed<T>(file: string): ReadLines<T> {
  const { lines, truncated } = unsealed<T>(attempt('read', file, () => realDisk.read(file).toString('utf8')));
  return { lines, ...(truncated !== undefined && { truncated }) };
}

function readNdjson<T>(file: string): ReadLines<T> {
  const text = attempt('read', file, () => realDisk.read(file).toString('utf8'));
  const lines: T[] = [];
  for (let begin = 0; begin < text.length; ) {
    const end = text.indexOf('\n', begin);
    const line = end < 0 ? undefined : parseObject<T>(text.slice(begin, end));
    if (line === undefined) {
      const how = end < 0 ? 'was cut off' : 'is no JSON object';
      return { lines, truncated: `line ${lines.length + 1} ${how}; ${lines.length} lines before it were read` };
    }
    lines.push(line);
    begin = end + 1;
  }
  return { lines };
}

function parseObject<T>(text: string): T | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as T) : undefined;
  } catch {
    return undefined;
  }
}

function readJson<T>(file: string): T | undefined {
  try {
    return JSON.parse(realDisk.read(file).toString('utf8')) as T;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new EvidenceError(`${file}: read failed: ${(error as Error).message}`, { cause: error });
  }
}

function writeJson(file: string, value: unknown, disk: Disk): void {
  attempt('write', file, () => {
    const draft = `${file}.${process.pid}.tmp`;
    const descriptor = disk.open(draft, 'w');
    try {
      writeFully(disk, descriptor, Buffer.from(`${JSON.stringify(value, undefined, 2)}\n`));
      disk.fsync(descriptor);
    } finally {
      disk.close(descriptor);
    }
    disk.rename(draft, file);
  });
}

function attempt<T>(verb: string, file: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof EvidenceError) throw error;
    throw new EvidenceError(
      `${file}: ${verb} failed: ${(error as Error).message}\n  Is the disk full, or the folder read-only?`,
      { cause: error },
    );
  }
}

const LONGEST_SLUG = 60;

/** A title as part of a folder name: lower case, letters, digits and single hyphens. */
export const slug = (title: string): string =>
  title
    .normalize('NFKD')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .slice(0, LONGEST_SLUG)
    .replaceAll(/^-|-$/g, '') || 'untitled';

/** Two runs within one second get folders of their own. */
function makeFolder({ root, at, title, world, seed }: RunFolderOptions, disk: Disk): string {
  const stamp = at.toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const name = `${stamp}-${slug(title)}-${slug(world)}-s${seed}`;
  return attempt('make', path.join(root, name), () => {
    disk.mkdir(root, { recursive: true });
    for (let copy = 1; ; copy++) {
      const folder = path.join(root, copy === 1 ? name : `${name}-${copy}`);
      try {
        disk.mkdir(folder);
        return folder;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || copy >= 1000) throw error;
      }
    }
  });
}
