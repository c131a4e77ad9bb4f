import pLimit from 'p-limit';
import type { Change, Fingerprint, Fingerprinted } from '../binding/fingerprint.ts';
import { label } from '../drivers/device-text.ts';
import { print } from '../model/units.ts';

/** One value that a device does not have as it was found. */
export interface Difference extends Change {
  readonly device: string;
}

/** Something that this run did. Without devices it is about none in particular, as a phase. */
export interface AuditStep {
  /** `fault north-cut`, `phase cut`, `load`, `probe`. */
  readonly what: string;
  readonly devices?: readonly string[];
}

/** When a step was, in the order of things. Still active: no end. */
export interface TimedStep extends AuditStep {
  readonly begun: number;
  readonly ended?: number;
}

/** Between which two instants something changed: the last reading in which it was as found began, the first in which it was not ended. */
export interface Window {
  readonly from: number;
  readonly to: number;
}

/** Whose doing a difference may be. Both empty: nobody's of this run. */
export interface Blame {
  /** Steps that had to do with the device. */
  readonly touched: readonly string[];
  /** Steps about no device in particular. */
  readonly active: readonly string[];
}

export interface Leftover extends Blame {
  readonly difference: Difference;
  /** For people: what differs, who is blamed, how to put it back. */
  readonly words: string;
}

export interface AuditOptions {
  /** By the inventory's names. */
  readonly devices: ReadonlyMap<string, Fingerprinted>;
  /** Testbed time, ns. */
  readonly now: () => Promise<number>;
  readonly elapse: (ns: number) => Promise<unknown>;
  /** First pause between two looks at what settles, and how long it is looked at, ns of testbed time. */
  readonly settle: { readonly firstNs: number; readonly withinNs: number };
}

/** Compares devices with how they were found when it was started. */
export interface LeftoverAudit {
  /** What could not be read at the start, in words: of it nobody can say at the end that it is as it was. */
  readonly unread: readonly string[];
  /** A step begins. The returned function says that it has ended: call it when what it did is undone, and `check` its devices after that. */
  begin(step: AuditStep): () => void;
  /** Looks at a device after something was healed there: whose doing a leftover is becomes clearer. @throws RangeError for a device that is not compared */
  check(device: string): Promise<void>;
  /** Looks at every device, waits for what settles, and names what is not as it was found. */
  end(): Promise<readonly Leftover[]>;
}

/** Sections that follow other devices, and so come back a while after the last heal. All others are as they are at once. */
export const SETTLING: ReadonlySet<string> = new Set(['links', 'bgp', 'lldp', 'optics']);

/**
 * How long that may take. A BGP session whose first try came too early waits 120 s for the next (ConnectRetryTime, RFC 4271 section 10), LLDP
 * tells anew every 30 s (IEEE 802.1AB, msgTxInterval). A simulated lab settles in simulated time, which is short.
 */
export const SETTLE = {
  virtual: { firstNs: 1e6, withinNs: 1e9 },
  wall: { firstNs: 500e6, withinNs: 180e9 },
} as const;

/** Sessions at the same time. */
const DEVICES_AT_ONCE = 16;

/** What stands for a device that gave no answer at all. */
const EVERYTHING = 'everything';

const sectionsOf = (before: Fingerprint, after: Fingerprint): readonly string[] => [
  ...new Set([...before.keys(), ...after.keys()]),
];

function changesIn(section: string, before: Fingerprint, after: Fingerprint): readonly Change[] {
  const [was, is] = [before.get(section), after.get(section)];
  const whole = { section, key: undefined };
  const shown = (read: typeof was): string | null | undefined =>
    read === undefined ? undefined : 'unread' in read ? null : `${read.value.size} values`;
  if (was === undefined || is === undefined) return [{ ...whole, was: shown(was), is: shown(is), ...whyOf(was, is) }];
  if ('unread' in was || 'unread' in is) return [{ ...whole, was: shown(was), is: shown(is), ...whyOf(was, is) }];
  const keys = new Set([...was.value.keys(), ...is.value.keys()]);
  return [...keys].flatMap(key => {
    const [one, other] = [was.value.get(key), is.value.get(key)];
    return one === other && one !== null ? [] : [{ section, key, was: one, is: other }];
  });
}

function whyOf(...reads: readonly (ReturnType<Fingerprint['get']> | undefined)[]): { readonly why?: string } {
  const why = reads.flatMap(read => (read !== undefined && 'unread' in read ? [read.unread] : []))[0];
  return why === undefined ? {} : { why };
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** What two fingerprints of a device do not have alike, in the order of sections and keys. Not known differs from everything. Pure. */
export function differences(device: string, before: Fingerprint, after: Fingerprint): readonly Difference[] {
  return sectionsOf(before, after)
    .flatMap(section => changesIn(section, before, after))
    .map(change => ({ device, ...change }))
    .toSorted((a, b) => compare(a.section, b.section) || compare(a.key ?? '', b.key ?? ''));
}

/** The steps that had to do with the device, or were active, while it changed. Pure. */
export function blame({ device }: Pick<Difference, 'device'>, window: Window, steps: readonly TimedStep[]): Blame {
  const then = steps.filter(
    ({ begun, ended = Number.POSITIVE_INFINITY }) => begun <= window.to && ended >= window.from,
  );
  return {
    touched: then.filter(({ devices }) => devices?.includes(device)).map(({ what }) => what),
    active: then.filter(({ devices }) => devices === undefined).map(({ what }) => what),
  };
}

/** One look at a device. */
interface Look extends Window {
  readonly atNs: number;
  readonly found: readonly Difference[];
}

const idOf = ({ section, key }: Change): string => JSON.stringify([section, key]);

/** Where in the looks at its device something changed for good: the last in which it was as found, and the first after that in which not. */
function changedBetween(difference: Difference, looks: readonly Look[]): readonly [Look, Look] | undefined {
  const id = idOf(difference);
  const shows = ({ found }: Look): boolean => found.some(other => idOf(other) === id);
  // A look at a device or section that did not answer says nothing of what is in it.
  const blind = ({ found }: Look): boolean =>
    found.some(({ section, key }) => section === EVERYTHING || (section === difference.section && key === undefined));
  const last = looks.findLastIndex(look => !shows(look) && !blind(look));
  const [asFound, first] = [looks[last], looks.slice(last + 1).find(shows)];
  return asFound && first ? [asFound, first] : undefined;
}

/** What settles shows late: a session dies seconds after its link. So the step may have ended before the last look that showed nothing. */
const windowOf = ({ section }: Difference, between: readonly [Look, Look] | undefined): Window => ({
  from: between && !SETTLING.has(section) ? between[0].from : 0,
  to: between?.[1].to ?? Number.POSITIVE_INFINITY,
});

const valueWords = (value: Change['was']): string =>
  value === undefined ? 'none' : value === null ? 'unknown' : value;

const nsWords = (ns: number): string => print(ns, 'duration');

function wordsOf(
  difference: Difference,
  { touched, active }: Blame,
  { between, putBack }: { readonly between: readonly [Look, Look] | undefined; readonly putBack: string | undefined },
): string {
  const { device, section, key, was, is, why } = difference;
  const what = key === undefined ? section : `${section}, ${key}`;
  const whose =
    touched.length > 0
      ? `Blamed on ${touched.join(', ')}`
      : `No step of this run touched ${device}${active.length > 0 ? `; active was ${active.join(', ')}` : ''}`;
  const when = between ? ` (between ${nsWords(between[0].atNs)} and ${nsWords(between[1].atNs)})` : '';
  const reason = why === undefined ? '' : ` (${why})`;
  const by = putBack === undefined ? '' : ` By hand on ${device}: ${putBack}`;
  return `${device} ${what}: found ${valueWords(was)}, left ${valueWords(is)}${reason}. ${whose}${when}.${by}`;
}

const settles = ({ section, was, is }: Difference): boolean => was !== null && (is === null || SETTLING.has(section));

/**
 * Reads every device and begins to compare.
 *
 * @throws DeviceError when a device gives no answer: a lab of which nothing is known can not be left as it was found
 */
export async function startAudit({ devices, now, elapse, settle }: AuditOptions): Promise<LeftoverAudit> {
  const limit = pLimit(DEVICES_AT_ONCE);
  // Things are put in order by counting them: two readings of a clock that stands still would tell nothing.
  let counted = 0;
  const steps: { what: string; devices?: readonly string[]; begun: number; ended?: number }[] = [];
  const looks = new Map<string, Look[]>();
  const originals = new Map<string, Fingerprint>();

  await Promise.all(
    [...devices].map(([name, device]) =>
      limit(async () => {
        const from = ++counted;
        const atNs = await now();
        originals.set(name, await device.fingerprint());
        looks.set(name, [{ from, to: ++counted, atNs, found: [] }]);
      }),
    ),
  );

  const look = async (name: string): Promise<void> => {
    const [device, original, seen] = [devices.get(name), originals.get(name), looks.get(name)];
    if (!device || !original || !seen) throw new RangeError(`${name} is no device of this audit.`);
    const from = ++counted;
    let found: readonly Difference[];
    try {
      found = differences(name, original, await device.fingerprint());
    } catch (error) {
      const why = label((error as Error).message);
      found = [{ device: name, section: EVERYTHING, key: undefined, was: 'read', is: null, why }];
    }
    const atNs = await now().catch(() => seen.at(-1)?.atNs ?? 0);
    seen.push({ from, to: ++counted, atNs, found });
  };
  const foundLast = (name: string): readonly Difference[] => looks.get(name)?.at(-1)?.found ?? [];

  /** Looks again at devices that have something left which may settle, in growing steps, until none has or time is up. */
  const settled = async (): Promise<void> => {
    const deadline = (await now()) + settle.withinNs;
    for (let pauseNs = settle.firstNs; ; pauseNs *= 1.5) {
      const waiting = [...devices.keys()].filter(name => foundLast(name).some(settles));
      const leftNs = deadline - (await now());
      if (waiting.length === 0 || leftNs <= 0) return;
      await elapse(Math.max(1, Math.min(pauseNs, leftNs)));
      await Promise.all(waiting.map(name => limit(look, name)));
    }
  };

  return {
    unread: [...originals].flatMap(([name, fingerprint]) =>
      [...fingerprint].flatMap(([section, read]) => ('unread' in read ? [`${name} ${section}: ${read.unread}`] : [])),
    ),
    begin(step) {
      const timed: (typeof steps)[number] = { ...step, begun: ++counted };
      steps.push(timed);
      return () => void (timed.ended ??= ++counted);
    },
    check: name => limit(look, name),
    async end() {
      await Promise.all([...devices.keys()].map(name => limit(look, name)));
      // A clock that does not answer must not keep leftovers from being told.
      await settled().catch(() => {});
      return [...devices].flatMap(([name, device]) =>
        foundLast(name).map(difference => {
          const between = changedBetween(difference, looks.get(name) ?? []);
          const window = windowOf(difference, between);
          const whose = blame(difference, window, steps);
          const words = wordsOf(difference, whose, { between, putBack: device.putBack(difference) });
          return { difference, ...whose, words };
        }),
      );
    },
  };
}
