import {
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import type { SweepCell, SweepHead, SweepLine } from '../model/sweep.ts';
import { EvidenceError } from '../run/evidence-error.ts';
import { readHost, readRecord, readVerdict } from '../run/run-folder.ts';
import { slug } from '../run/run-folder.ts';
import { resultOf } from './sweep-cell.ts';

export const SWEEP_FILE = 'sweep.ndjson';

/** Names the process that writes here, while it does. */
const WRITER_FILE = 'sweep.pid';

/** Each cell has a folder of its own here, named by its id; its run folder is in it. */
const CELLS = 'cells';

export interface ReadSweep {
  readonly head: SweepHead;
  /** Of the head's matrix, in the order of the head; the last line of each. */
  readonly cells: readonly SweepCell[];
  /** Bytes of whole lines; what comes after was cut off when the sweep was killed. */
  readonly wholeBytes: number;
}

/** @throws EvidenceError when the folder holds no readable sweep */
export function readSweep(folder: string): ReadSweep {
  const file = path.join(folder, SWEEP_FILE);
  const bytes = attempt('read', file, () => {
    if (!existsSync(file)) throw new Error('it is not there; farspan sweep prints the folder that it makes');
    return readFileSync(file);
  });
  const wholeBytes = bytes.lastIndexOf(0x0a) + 1;
  let head: SweepHead | undefined;
  const last = new Map<string, SweepCell>();
  const text = bytes.subarray(0, wholeBytes).toString('utf8');
  for (const [i, line] of text.split('\n').slice(0, -1).entries()) {
    const read = attempt('read', `${file}:${i + 1}`, () => checked(JSON.parse(line)));
    if (read.kind === 'sweep') head = read;
    else last.set(read.id, read);
  }
  if (!head) throw new EvidenceError(`${file} holds no sweep: its first line is missing.`);
  return {
    head,
    cells: head.cells.flatMap(id => {
      const cell = last.get(id);
      return cell ? [cell] : [];
    }),
    wholeBytes,
  };
}

/** What the readers of a line rely on; the rest of it is shown as text at most. */
function checked(value: unknown): SweepLine {
  const line = (value ?? {}) as Partial<SweepHead> & Partial<SweepCell> & { kind?: unknown };
  const lists = (...all: readonly unknown[]): boolean => all.every(one => Array.isArray(one));
  if (line.kind === 'sweep') {
    if (line.format !== 1) throw new Error(`format ${String(line.format)}; this Farspan reads format 1`);
    const axes =
      lists(line.cells, line.parameters, line.seeds, line.scenarios) && line.parameters?.every(isAxis) === true;
    if (axes) return line as SweepHead;
  }
  const named = typeof line.id === 'string' && typeof line.scenario === 'string' && isObject(line.parameters);
  if (line.kind === 'cell' && named && lists(line.kpis) && line.kpis?.every(isKpi) === true) return line as SweepCell;
  throw new Error('this is no line of a sweep; it was damaged or is a newer one');
}

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null;

const isAxis = (one: unknown): boolean =>
  isObject(one) &&
  typeof (one as { path?: unknown }).path === 'string' &&
  Array.isArray((one as { values?: unknown }).values);

/** What is drawn is a number, or absent. */
const isKpi = (kpi: unknown): boolean => {
  const { value, uncertainty, limit, upperLimit } = (kpi ?? { value: 'none' }) as Partial<Record<string, unknown>>;
  return [value, uncertainty, limit, upperLimit].every(one => (one ?? undefined) === undefined || Number.isFinite(one));
};

/** The folder of one sweep. Lines are appended by this process alone, whole and forced to the disk. */
export class SweepFolder {
  readonly path: string;
  readonly #file: number;

  /** @param wholeBytes of a sweep that goes on: what was cut off after them is dropped. @throws EvidenceError */
  constructor(folder: string, { wholeBytes = 0 }: { readonly wholeBytes?: number } = {}) {
    this.path = folder;
    const file = path.join(folder, SWEEP_FILE);
    this.#file = attempt('open', file, () => {
      mkdirSync(path.join(folder, CELLS), { recursive: true });
      claim(folder);
      const descriptor = openSync(file, wholeBytes > 0 ? 'r+' : 'wx');
      ftruncateSync(descriptor, wholeBytes);
      closeSync(descriptor);
      return openSync(file, 'a');
    });
  }

  /** @throws EvidenceError when the disk does not take it */
  append(line: SweepLine): void {
    attempt('append', path.join(this.path, SWEEP_FILE), () => {
      const bytes = Buffer.from(`${JSON.stringify(line)}\n`, 'utf8');
      // One write: O_APPEND makes it whole, or a cut line that the next reader drops.
      for (let offset = 0; offset < bytes.length; ) offset += writeSync(this.#file, bytes, offset);
      fsyncSync(this.#file);
    });
  }

  /** The empty folder of a cell; what a killed sweep left half-written there is thrown away. */
  cell(id: string): string {
    const folder = cellFolder(this.path, id);
    attempt('clear', folder, () => {
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder, { recursive: true });
    });
    return folder;
  }

  close(): void {
    closeSync(this.#file);
    rmSync(path.join(this.path, WRITER_FILE), { force: true });
  }
}

/** Two sweeps at once in one folder would each throw away what the other plays. A killed one leaves its file: nobody has its number then. */
function claim(folder: string): void {
  const file = path.join(folder, WRITER_FILE);
  const writer = existsSync(file) ? Number(readFileSync(file, 'utf8')) : Number.NaN;
  if (Number.isSafeInteger(writer) && writer > 0 && writer !== process.pid && isAlive(writer))
    throw new EvidenceError(
      `${folder}: farspan sweep, process ${writer}, is at work in this folder. Wait for it, or name another folder; if that process is no sweep, remove ${file}.`,
    );
  rmSync(file, { force: true });
  // Whoever is quicker has it.
  writeFileSync(file, `${process.pid}\n`, { flag: 'wx' });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

const cellFolder = (folder: string, id: string): string => path.join(folder, CELLS, slug(id));

/**
 * Whether a finished cell need not be played again: its run folder is there, whole, of this cell, and its verdict is on that record and
 * the line's.
 * An error says nothing about the product, so it is played again.
 */
export function isWhole(
  folder: string,
  { id, folder: at, outcome, seed, parameters, scenario, kpis }: SweepCell,
  version: string,
): boolean {
  if (at === null || outcome === 'error' || !at.startsWith(`${CELLS}/${slug(id)}/`) || at.includes('..')) return false;
  try {
    const { lines, sum, truncated } = readRecord(path.join(folder, at));
    const [head] = lines;
    const stored = readVerdict(path.join(folder, at));
    readHost(path.join(folder, at));
    if (truncated !== undefined || head?.kind !== 'run' || stored?.record !== sum) return false;
    const judged = resultOf(stored.verdict);
    return (
      head.version === version &&
      head.seed === seed &&
      head.scenario.title === scenario &&
      sameSettings(head.set ?? {}, parameters) &&
      judged.outcome === outcome &&
      JSON.stringify(judged.kpis) === JSON.stringify(kpis)
    );
  } catch (error) {
    if (error instanceof EvidenceError) return false;
    throw error;
  }
}

const sameSettings = (a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean =>
  Object.keys(a).length === Object.keys(b).length && Object.entries(a).every(([path, value]) => b[path] === value);

function attempt<T>(verb: string, file: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof EvidenceError) throw error;
    throw new EvidenceError(`${file}: ${verb} failed: ${(error as Error).message}`, { cause: error });
  }
}
