import { setTimeout as sleep } from 'node:timers/promises';
import { TestbedUnavailable } from '../binding/binding.ts';
import { deviceError, escapeDeviceText } from '../drivers/device-text.ts';
import type { RecordLine, Step } from '../model/record.ts';

/** A row of a tool's output, to stop at the instant it is printed. */
export interface RowWait {
  readonly host: string;
  readonly pid: number;
  /** How many rounds the tool has then shown since its start. */
  readonly rounds: number;
}

/** The time a lab keeps, ns; its zero is whatever the lab chose. */
export interface LabClock {
  readonly kind: 'virtual' | 'wall';
  now(): Promise<number>;
  /** Lets time pass. With a row and a clock that can wait for it, stops at that row; resolves with whether it came. */
  elapse(options: { readonly forNs: number; readonly row?: RowWait }): Promise<boolean>;
  /** What a simulator behind the lab knows exactly; empty where nothing is simulated. */
  truth(): Promise<readonly RecordLine[]>;
}

export interface VirtualClockOptions {
  readonly url: string;
  readonly step: (step: Step) => void;
  readonly signal?: AbortSignal;
  /** Most wall time that one request may take, ms. */
  readonly deadlineMs?: number;
}

/** A simulator may need minutes of wall time for one slice of virtual time; a request that takes longer is a hang. */
const REQUEST_DEADLINE_MS = 120_000;
const LARGEST_TRUTH = 256 * 2 ** 20;
const NO_CLOCK = 'This is no Farspan clock service. Check "clock" in the inventory.';

/** Reads a body up to a bound, so that a wrong server can not fill the memory. */
async function boundedText(response: Response, most: number): Promise<string> {
  if (!response.body) return '';
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body as unknown as AsyncIterable<Uint8Array>) {
    size += part.byteLength;
    if (size > most) throw new Error(`answer longer than ${most} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

/** The clock service of an emulated lab (`docs/emulated-lab.md`). Virtual time passes only in `elapse`. */
export function virtualClock(options: VirtualClockOptions): LabClock {
  const base = options.url.endsWith('/') ? options.url : `${options.url}/`;

  async function request(method: 'GET' | 'POST', route: string, body?: unknown, most = 64 * 1024): Promise<string> {
    const url = new URL(route, base);
    const begun = performance.now();
    const timeout = AbortSignal.timeout(options.deadlineMs ?? REQUEST_DEADLINE_MS);
    const tried = `${method} /${route}${body === undefined ? '' : ` ${JSON.stringify(body)}`}`;
    const at = new Date().toISOString();
    const record = (answer: string, exitCode: number | null): void => {
      const short = answer.length > 512 ? `${answer.slice(0, 512)}…` : answer;
      options.step({
        at,
        tookMs: performance.now() - begun,
        device: 'clock',
        protocol: 'http',
        tried,
        answer: escapeDeviceText(short),
        exitCode,
      });
    };
    try {
      const response = await fetch(url, {
        method,
        redirect: 'error',
        signal: options.signal ? AbortSignal.any([options.signal, timeout]) : timeout,
        ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      });
      const text = await boundedText(response, most);
      record(text, response.status);
      if (!response.ok) throw new Error(`HTTP ${response.status}: ${text.slice(0, 200)}`);
      return text;
    } catch (error) {
      options.signal?.throwIfAborted();
      const cause = (error as Error).cause as NodeJS.ErrnoException | undefined;
      const answer = cause?.code ?? cause?.message ?? (error as Error).message;
      record(answer, null);
      throw deviceError({
        device: 'clock',
        tried,
        answer,
        advice: `Is the emulated lab still running? It serves its clock at ${options.url}.`,
        cause: error,
      });
    }
  }

  function numberOf(text: string, tried: string): { ns: number; met: boolean } {
    try {
      const { ns, met = true } = JSON.parse(text) as { ns?: unknown; met?: unknown };
      if (typeof ns === 'number' && Number.isFinite(ns) && typeof met === 'boolean') return { ns, met };
    } catch {
      // Falls through: the message below shows the text.
    }
    throw deviceError({ device: 'clock', tried, answer: text.slice(0, 200), advice: NO_CLOCK });
  }

  let latestNs = Number.NEGATIVE_INFINITY;

  /** Requests may overlap, so what is compared with is what was known when this one was sent. */
  async function told(tried: string, ask: () => Promise<string>): Promise<{ ns: number; met: boolean }> {
    const sinceNs = latestNs;
    const answer = numberOf(await ask(), tried);
    if (answer.ns < sinceNs) {
      const back = `the clock went back from ${sinceNs} ns to ${answer.ns} ns`;
      throw deviceError({ device: 'clock', tried, answer: back, advice: 'Was the emulated lab started again?' });
    }
    latestNs = Math.max(latestNs, answer.ns);
    return answer;
  }

  function truthLine(text: string): RecordLine {
    try {
      const line: unknown = JSON.parse(text);
      if (typeof line === 'object' && line !== null && !Array.isArray(line)) return line as RecordLine;
    } catch {
      // Falls through: the message below shows the text.
    }
    throw deviceError({ device: 'clock', tried: 'GET /truth', answer: text.slice(0, 200), advice: NO_CLOCK });
  }

  return {
    kind: 'virtual',
    now: async () => (await told('GET /now', () => request('GET', 'now'))).ns,
    async elapse({ forNs, row }) {
      const body = row ? { ...row, withinNs: Math.round(forNs) } : { forNs: Math.round(forNs) };
      return (await told('POST /elapse', () => request('POST', 'elapse', body))).met;
    },
    async truth() {
      const text = await request('GET', 'truth', undefined, LARGEST_TRUTH);
      return text
        .split('\n')
        .filter(line => line.trim() !== '')
        .map(truthLine);
    },
  };
}

/** Monotonic wall time, for labs of real devices. It can not wait for a row: the caller polls. */
export function wallClock(options: { readonly signal?: AbortSignal; readonly nowNs?: () => bigint }): LabClock {
  const read = options.nowNs ?? process.hrtime.bigint;
  const zero = read();
  return {
    kind: 'wall',
    now: () => Promise.resolve(Number(read() - zero)),
    async elapse({ forNs }) {
      await sleep(forNs / 1e6, undefined, options.signal ? { signal: options.signal } : {});
      return true;
    },
    truth: () => Promise.resolve([]),
  };
}

/** @throws TestbedUnavailable when the clock service does not answer */
export async function reachClock(clock: LabClock): Promise<void> {
  try {
    await clock.now();
  } catch (error) {
    throw new TestbedUnavailable((error as Error).message, { cause: error });
  }
}
