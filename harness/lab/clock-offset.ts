import { label } from '../drivers/device-text.ts';
import { MOST_DRIFT } from '../model/clock-at.ts';

/** What `measureOffset` asks a device for: seconds since 1970 and, where its `date` knows them, nanoseconds. */
export const DATE_COMMAND = 'date +%s.%N';

export interface MeasureOffsetOptions {
  /** Sends `DATE_COMMAND` and resolves with what came back. */
  readonly ask: () => Promise<string>;
  /** A clock of the runner that never steps, ns. */
  readonly now: () => Promise<number> | number;
  /** Unix time, ns, that the device would show at 0 of `now` were it right. The offset is told against it. */
  readonly zeroUnixNs: bigint;
  readonly wait: (ns: number) => Promise<void>;
  /** Default 8, as an NTP client's clock filter (RFC 5905 section 10). */
  readonly samples?: number;
}

/** How far the date of a device is ahead of the runner's clock, ns. */
export type ClockOffset =
  | {
      readonly atNs: number;
      readonly offsetNs: number;
      /** The true offset at `atNs` is at most this far from `offsetNs`. */
      readonly boundNs: number;
      /** Of the quickest answer. */
      readonly rttNs: number;
      /** What the device's date can tell apart. */
      readonly resolutionNs: number;
      readonly missing?: never;
    }
  | {
      /** Why it is not known. */
      readonly missing: string;
    };

/** One answer: the device read its clock at some instant between these two, and it was then from `dateNs` to `dateNs` + resolution. */
interface Answer {
  readonly sentNs: number;
  readonly backNs: number;
  /** Less `zeroUnixNs`. */
  readonly dateNs: number;
  readonly resolutionNs: number;
}

const SECOND_NS = 1e9;
/** One nanosecond of the date, one of the runner's clock. */
const FINE_NS = 2;
const LEAST_PAUSE_NS = 5e6;
/** A clock that is set while it is looked at is looked at again. */
const TRIES = 3;

/** Answers of `date +%s.%N`. Where `date` does not know %N it prints that, `N` or nothing: then it tells seconds only. */
function parseDate(text: string): { readonly unixNs: bigint; readonly resolutionNs: number } | undefined {
  const [, seconds, rest = ''] = /^(\d{1,12})(?:\.(\d{9}|%?N|))?$/.exec(text.trim()) ?? [];
  if (seconds === undefined) return undefined;
  const fine = /^\d{9}$/.test(rest);
  return {
    unixNs: BigInt(seconds) * 1_000_000_000n + (fine ? BigInt(rest) : 0n),
    resolutionNs: fine ? FINE_NS : SECOND_NS,
  };
}

/**
 * Measures how far a device's date is ahead of the runner's clock, as NTP does, with a bound that needs no symmetric path: an answer
 * that left at `sent` and was back at `back` with the date D says that the offset is from D - back to D + resolution - sent. The quickest
 * answer tells most and is taken as it is: half its round trip and half the resolution. The others must be possible beside it, with what
 * the clock may have drifted in between (`MOST_DRIFT`); where one is not, the clock was set meanwhile and is looked at again.
 *
 * Where `date` tells seconds only, the answers are spread over more than one, so that a clock that stands still is seen.
 *
 * @throws what `ask` rejects with
 */
export async function measureOffset(options: MeasureOffsetOptions): Promise<ClockOffset> {
  let found = await measureOnce(options);
  for (let again = 1; found === 'stepped' && again < TRIES; again++) found = await measureOnce(options);
  return found === 'stepped' ? { missing: `its clock was set while it was read, ${TRIES} times in a row` } : found;
}

async function measureOnce(options: MeasureOffsetOptions): Promise<ClockOffset | 'stepped'> {
  const { ask, now, wait, zeroUnixNs, samples = 8 } = options;
  const answers: Answer[] = [];
  while (answers.length < samples) {
    const sentNs = await now();
    const text = await ask();
    const backNs = await now();
    const date = parseDate(text);
    if (!date) return { missing: `${DATE_COMMAND} answered ${label(text.slice(0, 100)) || 'nothing'}` };
    const { resolutionNs } = date;
    answers.push({ sentNs, backNs, dateNs: Number(date.unixNs - zeroUnixNs), resolutionNs });
    // On a virtual clock no time passes in between, and another answer would say the same.
    if (backNs === sentNs && resolutionNs === FINE_NS) break;
    if (answers.length < samples) await wait(Math.max(LEAST_PAUSE_NS, (1.1 * resolutionNs) / (samples - 1)));
  }
  return agreed(answers);
}

/** What the quickest answer says, when all others may be true as well. */
function agreed(answers: readonly Answer[]): ClockOffset | 'stepped' {
  const rtt = ({ sentNs, backNs }: Answer): number => backNs - sentNs;
  const quickest = answers.reduce((best, answer) => (rtt(answer) < rtt(best) ? answer : best));
  const atNs = (quickest.sentNs + quickest.backNs) / 2;
  const ranges = answers.map(answer => rangeAt(answer, atNs));
  if (Math.max(...ranges.map(({ low }) => low)) > Math.min(...ranges.map(({ high }) => high))) {
    const stands = answers.every(({ dateNs }) => dateNs === quickest.dateNs);
    return stands ? { missing: 'its clock stands still' } : 'stepped';
  }
  const { low, high } = rangeAt(quickest, atNs);
  const { resolutionNs } = quickest;
  return { atNs, offsetNs: (low + high) / 2, boundNs: (high - low) / 2, rttNs: rtt(quickest), resolutionNs };
}

/** Offsets at an instant that one answer allows. */
function rangeAt(
  { sentNs, backNs, dateNs, resolutionNs }: Answer,
  atNs: number,
): { readonly low: number; readonly high: number } {
  const driftNs = MOST_DRIFT * Math.max(Math.abs(sentNs - atNs), Math.abs(backNs - atNs));
  return { low: dateNs - backNs - driftNs, high: dateNs + resolutionNs - sentNs + driftNs };
}
