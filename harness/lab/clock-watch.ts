import { setTimeout as sleep } from 'node:timers/promises';
import { DeviceError } from '../binding/device-error.ts';
import { firstLine } from '../binding/first-line.ts';
import { succeeded } from '../drivers/ssh.ts';
import type { RecordLine } from '../model/record.ts';
import { DATE_COMMAND, measureOffset } from './clock-offset.ts';
import type { Opened } from './connect.ts';
import type { LabClock } from './lab-clock.ts';

/** Reads the clocks of all devices of a run and writes a `clock` line for each. None of it rejects: a clock that is not known widens U. */
export interface ClockWatch {
  read(): Promise<void>;
  /** Where an instant matters: reads on wall time. A virtual clock is the same for all devices whenever it is read. */
  edge(): Promise<void>;
  /** The same, when the last reading is old. */
  due(): Promise<void>;
}

export interface ClockWatchOptions {
  /** By the inventory's names, with the node that each plays. */
  readonly devices: readonly {
    readonly node: string;
    readonly device: string;
    readonly opened: Pick<Opened, 'read'>;
  }[];
  readonly clock: LabClock;
  /** The clock's reading at the reservation, ns. */
  readonly epochNs: number;
  /** The runner's date at the reservation, ms since 1970; not asked for where time is virtual. */
  readonly epochDateMs: number;
  readonly record: (line: RecordLine) => void;
  readonly wait?: (ns: number) => Promise<void>;
}

/** Between readings a clock may drift by 600 ppm (`MOST_DRIFT`): after 5 s its bound is 3 ms wider. Our choice. */
const EVERY_NS = 5e9;
/** One `date`. What is slower tells too little to wait for. */
const DEADLINE_MS = 3000;
/** A device that did not answer (it may be booting) is left alone for this long, ns of the lab's clock. */
const QUIET_NS = 10e9;
const SAMPLES = 4;

export function clockWatch(options: ClockWatchOptions): ClockWatch {
  const { devices, clock, epochNs, epochDateMs, record, wait = ns => sleep(ns / 1e6) } = options;
  const now = async (): Promise<number> => (await clock.now()) - epochNs;
  const virtual = clock.kind === 'virtual';
  const zeroUnixNs = virtual ? BigInt(Math.floor(epochNs)) : BigInt(epochDateMs) * 1_000_000n;
  const quietUntilNs = new Map<string, number>();
  const told = new Set<string>();
  let lastNs = Number.NEGATIVE_INFINITY;
  let reading: Promise<void> | undefined;

  const readOne = async ({ node, device, opened }: ClockWatchOptions['devices'][number]): Promise<void> => {
    if ((quietUntilNs.get(device) ?? 0) > (await now())) return;
    const ask = async (): Promise<string> =>
      succeeded(device, DATE_COMMAND, await opened.read(DATE_COMMAND, { deadlineMs: DEADLINE_MS })).stdout;
    let missing: string;
    try {
      const found = await measureOffset({ ask, now, wait, zeroUnixNs, samples: SAMPLES });
      if (found.missing === undefined) {
        const { atNs, offsetNs, boundNs } = found;
        record({ kind: 'clock', device, atNs, offsetNs, boundNs });
        return;
      }
      missing = found.missing;
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error;
      missing = firstLine(error.answer);
    }
    const atNs = await now();
    quietUntilNs.set(device, atNs + QUIET_NS);
    if (told.has(`${device} ${missing}`)) return;
    told.add(`${device} ${missing}`);
    record({ kind: 'event', atNs, node, what: `its clock is not known: ${missing}` });
  };
  const read = (): Promise<void> => {
    // Two readings at once would only make each other slow.
    reading ??= (async () => {
      // The clock service itself may be gone; whoever moves it says so.
      await Promise.allSettled(devices.map(readOne));
      lastNs = await now().catch(() => lastNs);
    })().finally(() => {
      reading = undefined;
    });
    return reading;
  };
  return {
    read,
    edge: async () => (virtual ? undefined : read()),
    due: async () => {
      if (!virtual && (await now()) - lastNs >= EVERY_NS) await read();
    },
  };
}
