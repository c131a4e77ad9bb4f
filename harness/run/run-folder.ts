import path from 'node:path';
import { type Disk, realDisk, syncFolder, writeFully } from '../binding/disk.ts';
import { sealedObject, unsealed, unsealedObject } from '../binding/seal.ts';
import type { RecordLine, Step } from '../model/record.ts';
import type { RunVerdict } from '../model/verdict.ts';
import { attempt, EvidenceError } from './evidence-error.ts';
import { LineFile } from './line-file.ts';

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

/** Since format 2 every line carries a checksum. */
export const RECORD_FORMAT = 2;

/** At these lines the record is forced to the disk: what was injected and healed must outlive a power cut. */
const SYNC_AFTER: ReadonlySet<RecordLine['kind']> = new Set(['run', 'phase', 'fault', 'heal', 'end']);

/**
 * The folder of one run: `<UTC stamp>-<slug>-<world>-s<seed>`.
 *
 * `record.ndjson` is append-only; every line is handed to the operating system at once (a killed process loses none) and
 * forced to disk at phases, faults and heals. `steps.ndjson` holds the raw commands with wall times, `host.json` the host,
 * `verdict.json` what was concluded (it may be judged again). All four carry checksums: what is not as it was written is not read.
 */
export class RunFolder {
  readonly path: string;
  readonly #disk: Disk;
  readonly #record: LineFile;
  readonly #steps: LineFile;

  /** @throws EvidenceError when the folder can not be made */
  constructor(options: RunFolderOptions) {
    this.#disk = options.disk ?? realDisk;
    this.path = makeFolder(options, this.#disk);
    this.#record = new LineFile(this.file('record'), this.#disk);
    try {
      this.#steps = new LineFile(this.file('steps'), this.#disk);
    } catch (error) {
      this.#record.close();
      throw error;
    }
  }

  file(name: keyof typeof RUN_FILES): string {
    return path.join(this.path, RUN_FILES[name]);
  }

  /** @throws EvidenceError when the disk does not take it */
  record(line: RecordLine): void {
    this.#record.append(line);
    if (line.kind === 'run') attempt('sync', this.path, () => syncFolder(this.#disk, this.path));
    if (SYNC_AFTER.has(line.kind)) this.#record.sync();
  }

  /** @throws EvidenceError when the disk does not take it */
  step(step: Step): void {
    this.#steps.append(step);
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

  /** @throws EvidenceError when the disk does not take it */
  host(facts: HostFacts): void {
    replace(this.file('host'), facts, this.#disk);
  }

  /** On what was recorded. @throws EvidenceError when the disk does not take it */
  verdict(verdict: RunVerdict): void {
    writeVerdict(this.path, { verdict, record: this.#record.sum }, this.#disk);
  }

  /** Safe to call twice. @throws EvidenceError when the disk did not take all of it */
  close(): void {
    try {
      this.#record.close();
    } finally {
      this.#steps.close();
    }
  }
}

/** A verdict and the record it is on. */
export interface StoredVerdict {
  readonly verdict: RunVerdict;
  /** What the last line of that record was sealed with. */
  readonly record: string;
}

/** The verdict as a file of a folder, with a checksum of its own; replaces an older one in one step. @throws EvidenceError */
export function writeVerdict(folder: string, { verdict, record }: StoredVerdict, disk: Disk = realDisk): void {
  replace(path.join(folder, RUN_FILES.verdict), { ...verdict, record }, disk);
  attempt('sync', folder, () => syncFolder(disk, folder));
}

/** What a file of lines holds, and why its end was left out, when it was. */
export interface ReadLines<T> {
  readonly lines: readonly T[];
  readonly truncated?: string;
}

export interface ReadRecord extends ReadLines<RecordLine> {
  /** What the last of these lines was sealed with. */
  readonly sum: string;
}

/**
 * Reads the record of a run. A line that is not as it was written, or that was cut off when the run was killed, ends the reading: the
 * valid prefix is returned and `truncated` says so; likewise where the end of the run is missing.
 *
 * @throws EvidenceError when there is no record, it is of another format, or it does not begin with its run line
 */
export function readRecord(folder: string, disk: Disk = realDisk): ReadRecord {
  const file = path.join(folder, RUN_FILES.record);
  const bytes = attempt('read', file, () => disk.read(file));
  const { lines, sum, truncated } = unsealed<RecordLine>(bytes);
  const [first] = lines;
  if (first === undefined) throw nothingIn(file, bytes, truncated);
  if (first.kind !== 'run') throw new EvidenceError(`${file} begins with a ${first.kind} line, not with its run line.`);
  if (first.format !== RECORD_FORMAT) throw otherFormat(file, first.format);
  for (const [i, { kind }] of lines.entries()) {
    const at = `${file}:${i + 1}`;
    if (!KINDS.has(kind))
      throw new EvidenceError(`${at} is of no known kind; the record was damaged or is a newer one.`);
    if (kind === 'run' && i > 0)
      throw new EvidenceError(`${at} is a second run line: this file holds more than one run.`);
    if (lines[i - 1]?.kind === 'end') throw new EvidenceError(`${at} comes after the end of the run.`);
  }
  const why = truncated ?? (lines.at(-1)?.kind === 'end' ? undefined : endless(lines.length));
  return { lines, sum, ...(why !== undefined && { truncated: why }) };
}

const endless = (count: number): string => `it stops after line ${count} without the line that ends a run`;

const otherFormat = (file: string, format: unknown): EvidenceError =>
  new EvidenceError(`${file} has format ${String(format)}; this Farspan reads format ${RECORD_FORMAT}.`);

/** A record of another format may have no checksums, as format 1 had none; then the line says itself what it is. */
function nothingIn(file: string, bytes: Buffer, truncated: string | undefined): EvidenceError {
  const text = bytes.subarray(0, bytes.indexOf('\n')).toString();
  const format = text.includes('"sum":') ? undefined : /^\{"kind":"run","format":(\d+)/.exec(text)?.[1];
  return format === undefined || format === String(RECORD_FORMAT)
    ? new EvidenceError(`${file} holds no line${truncated === undefined ? '' : `: ${truncated}`}.`)
    : otherFormat(file, format);
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
export function readSteps(folder: string, disk: Disk = realDisk): ReadLines<Step> {
  const file = path.join(folder, RUN_FILES.steps);
  const { lines, truncated } = unsealed<Step>(attempt('read', file, () => disk.read(file)));
  return { lines, ...(truncated !== undefined && { truncated }) };
}

/** A file that the world added; empty when it did not. @throws EvidenceError when it can not be read */
export const readAttachment = (folder: string, name: string, disk: Disk = realDisk): ReadLines<object> =>
  disk.exists(path.join(folder, name)) ? readNdjson<object>(path.join(folder, name), disk) : { lines: [] };

/**
 * Undefined when the run was killed before its verdict.
 *
 * @throws EvidenceError when it can not be read, or is not as it was written
 */
export function readVerdict(folder: string, disk: Disk = realDisk): StoredVerdict | undefined {
  const stored = readObject<RunVerdict & Pick<StoredVerdict, 'record'>>(path.join(folder, RUN_FILES.verdict), disk);
  if (stored === undefined) return undefined;
  const { record, ...verdict } = stored;
  return { verdict, record };
}

/** Undefined when it was never written. @throws EvidenceError when it can not be read, or is not as it was written */
export const readHost = (folder: string, disk: Disk = realDisk): HostFacts | undefined =>
  readObject<HostFacts>(path.join(folder, RUN_FILES.host), disk);

function readNdjson<T>(file: string, disk: Disk): ReadLines<T> {
  const text = attempt('read', file, () => disk.read(file).toString());
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

function readObject<T extends object>(file: string, disk: Disk): T | undefined {
  const bytes = attempt('read', file, () => {
    try {
      return disk.read(file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  });
  if (bytes === undefined) return undefined;
  const value = unsealedObject<T>(bytes);
  if (value === undefined)
    throw new EvidenceError(
      `${file} was changed or damaged: its checksum does not fit.\n  What is beside the record is made anew with: farspan judge ${path.dirname(file)}`,
    );
  return value;
}

/** All or nothing: whoever reads finds the old object or the new one, also after a power cut. */
function replace(file: string, value: object, disk: Disk): void {
  attempt('write', file, () => {
    const draft = `${file}.${process.pid}.tmp`;
    const descriptor = disk.open(draft, 'w');
    try {
      writeFully(disk, descriptor, Buffer.from(sealedObject(value)));
      disk.fsync(descriptor);
    } finally {
      disk.close(descriptor);
    }
    disk.rename(draft, file);
  });
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
        syncFolder(disk, root);
        return folder;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || copy >= 1000) throw error;
      }
    }
  });
}
