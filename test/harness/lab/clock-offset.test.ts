import t from 'tap';
import { jobRecoveryKpi } from '../../../harness/checks/job-recovery.ts';
import { DATE_COMMAND, measureOffset } from '../../../harness/lab/clock-offset.ts';
import { clockAt } from '../../../harness/model/clock-at.ts';
import type { ClockLine, RecordLine, RunLine } from '../../../harness/model/record.ts';
import { uniform } from '../../../harness/model/seeded.ts';
import { runView } from '../../../harness/run/run-view.ts';
import { placedEvents } from '../../../reports/event-order.ts';
import { handMadeRun } from '../hand-made-run.ts';

const RUNS = Number(process.env['FARSPAN_CLOCK_RUNS'] ?? 1000);

const ZERO_UNIX_NS = 1_700_000_000_000_000_000n;
const MS = 1e6;
const SECOND = 1e9;

/** Seeded numbers, one after the other. */
function draws(seed: number): (least: number, most: number) => number {
  let drawn = 0;
  return (least, most) => least + (most - least) * uniform(seed, drawn++);
}

interface Device {
  /** Ahead of the runner at 0, ns. */
  readonly offsetNs: number;
  readonly drift: number;
  readonly steps: readonly { readonly atNs: number; readonly byNs: number }[];
  /** From when on its date does not move. */
  readonly standsFromNs?: number;
  /** How its `date` prints what it does not know. */
  readonly fraction?: '%N' | 'N' | '';
}

const trueOffsetNs = ({ offsetNs, drift, steps }: Device, atNs: number): number =>
  offsetNs + drift * atNs + steps.reduce((sum, step) => (step.atNs <= atNs ? sum + step.byNs : sum), 0);

function dateOf(device: Device, atNs: number): string {
  const seenNs = Math.min(atNs, device.standsFromNs ?? Number.POSITIVE_INFINITY);
  const unixNs = ZERO_UNIX_NS + BigInt(Math.round(seenNs + trueOffsetNs(device, seenNs)));
  const [seconds, rest] = [unixNs / 1_000_000_000n, unixNs % 1_000_000_000n];
  const { fraction } = device;
  if (fraction !== undefined) return `${seconds}${fraction === '' ? '' : `.${fraction}`}\n`;
  return `${seconds}.${String(rest).padStart(9, '0')}\n`;
}

/** A runner and a path to the device: each way takes what `way` draws, ns. */
function runnerOf(
  device: Device,
  { beginNs, way }: { readonly beginNs: number; readonly way: () => [number, number] },
) {
  let nowNs = beginNs;
  return {
    ask: async () => {
      const [there, back] = way();
      nowNs += there;
      const text = dateOf(device, nowNs);
      nowNs += back;
      return text;
    },
    now: () => nowNs,
    wait: async (ns: number) => void (nowNs += ns),
    zeroUnixNs: ZERO_UNIX_NS,
  };
}

const FLAT = (): [number, number] => [1 * MS, 1 * MS];
const STEADY: Device = { offsetNs: 3 * MS, drift: 0, steps: [] };

void t.test('what the device is asked for', async t => {
  t.equal(DATE_COMMAND, 'date +%s.%N');
});

void t.test('by hand: 2 ms there and 1 ms back with 3 ms ahead', async t => {
  const found = await measureOffset({
    ...runnerOf(STEADY, { beginNs: 0, way: () => [2 * MS, 1 * MS] }),
    samples: 1,
  });
  // Sent at 0, the date is 2 ms + 3 ms = 5 ms, back at 3 ms: the offset is from 5 - 3 to 5 - 0 ms, 3.5 +- 1.5, and drift over 1.5 ms.
  t.match(found, { atNs: 1.5 * MS, rttNs: 3 * MS, resolutionNs: 2 });
  if (found.missing !== undefined) return;
  t.ok(Math.abs(found.offsetNs - 3.5 * MS) <= 1, String(found.offsetNs));
  t.ok(Math.abs(found.boundNs - (1.5 * MS + 1 + 600e-6 * 1.5 * MS)) <= 1, String(found.boundNs));
});

void t.test('on a virtual clock one answer is enough, and its bound is the resolution', async t => {
  let asked = 0;
  const found = await measureOffset({
    ask: async () => {
      asked++;
      return '0.000123456\n';
    },
    now: () => 123_456.7,
    wait: async () => {},
    zeroUnixNs: 0n,
  });
  t.equal(asked, 1);
  t.match(found, { boundNs: 1 });
  t.ok(found.missing === undefined && Math.abs(found.offsetNs) <= found.boundNs);
});

void t.test('a date without nanoseconds is good for half a second', async t => {
  for (const fraction of ['%N', 'N', ''] as const) {
    const found = await measureOffset(runnerOf({ ...STEADY, fraction }, { beginNs: 0.3 * SECOND, way: FLAT }));
    t.match(found, { resolutionNs: SECOND }, `"${fraction}"`);
    t.ok(
      found.missing === undefined &&
        Math.abs(found.offsetNs - 3 * MS) <= found.boundNs &&
        found.boundNs < 0.51 * SECOND,
      `"${fraction}" is within ${found.missing ?? found.boundNs / MS} ms`,
    );
  }
});

void t.test('what is no date, a clock that stands still and one that is set over and over are not known', async t => {
  const missing = async (device: Device, text?: string): Promise<string | undefined> => {
    const runner = runnerOf(device, { beginNs: 0, way: FLAT });
    return (await measureOffset(text === undefined ? runner : { ...runner, ask: async () => text })).missing;
  };
  t.equal(await missing(STEADY, 'date: not found'), 'date +%s.%N answered date: not found');
  t.equal(await missing(STEADY, ''), 'date +%s.%N answered nothing');
  t.equal(await missing(STEADY, '99999999999999999999.5'), 'date +%s.%N answered 99999999999999999999.5');
  t.equal(await missing({ ...STEADY, standsFromNs: 0 }), 'its clock stands still');
  t.equal(await missing({ ...STEADY, standsFromNs: 0, fraction: '%N' }), 'its clock stands still');
  const set = Array.from({ length: 100 }, (_, i) => ({ atNs: i * 17 * MS, byNs: (i % 2 === 0 ? 1 : -1) * SECOND }));
  t.equal(await missing({ ...STEADY, steps: set }), 'its clock was set while it was read, 3 times in a row');
});

void t.test(`the true offset lies within the bound: ${RUNS} devices, paths and steps`, async t => {
  const wrong: string[] = [];
  let widestNs = 0;
  let unknown = 0;
  for (let seed = 0; seed < RUNS; seed++) {
    const draw = draws(seed);
    // The runner measures at 1 s; a step may fall before, into, or behind the measurement. One in eight is a leap second.
    const stepped = draw(0, 1) < 0.5;
    const leaps = draw(0, 1) < 0.125;
    const device: Device = {
      offsetNs: draw(-SECOND, SECOND),
      drift: draw(-500e-6, 500e-6),
      steps: stepped
        ? [{ atNs: draw(0.9 * SECOND, 1.3 * SECOND), byNs: leaps ? -SECOND : draw(-5 * SECOND, 5 * SECOND) }]
        : [],
      ...(draw(0, 1) < 0.2 && { fraction: '%N' as const }),
    };
    // All of the delay may be on one way, and one answer in ten takes a hundred times as long.
    const share = draw(0, 1);
    const way = (): [number, number] => {
      const rtt = draw(0.1 * MS, 2 * MS) * (draw(0, 1) < 0.1 ? 100 : 1);
      return [share * rtt, (1 - share) * rtt];
    };
    const found = await measureOffset(runnerOf(device, { beginNs: SECOND, way }));
    if (found.missing !== undefined) unknown++;
    else {
      const apart = Math.abs(found.offsetNs - trueOffsetNs(device, found.atNs));
      widestNs = Math.max(widestNs, found.resolutionNs < 10 ? found.boundNs : 0);
      if (apart > found.boundNs) wrong.push(`seed ${seed}: ${apart} ns apart, bound ${found.boundNs} ns`);
    }
  }
  t.comment(
    `${RUNS - wrong.length} of ${RUNS} within the bound, ${unknown} not known; widest bound of a fine date ${(widestNs / MS).toFixed(3)} ms`,
  );
  t.same(wrong.slice(0, 5), []);
  t.ok(unknown <= RUNS / 100);
});

/** Readings of a device's clock as a run takes them, with the bound that each has. */
async function readingsOf(
  name: string,
  device: Device,
  {
    draw,
    everyNs,
    untilNs,
  }: { readonly draw: ReturnType<typeof draws>; readonly everyNs: number; readonly untilNs: number },
): Promise<ClockLine[]> {
  const lines: ClockLine[] = [];
  for (let beginNs = 0; beginNs <= untilNs; beginNs += everyNs) {
    const share = draw(0, 1);
    const way = (): [number, number] => {
      const rtt = draw(0.1 * MS, 2 * MS);
      return [share * rtt, (1 - share) * rtt];
    };
    const found = await measureOffset({ ...runnerOf(device, { beginNs, way }), samples: 4 });
    if (found.missing === undefined) {
      const { atNs, offsetNs, boundNs } = found;
      lines.push({ kind: 'clock', device: name, atNs, offsetNs, boundNs });
    }
  }
  return lines;
}

void t.test(`between two readings, over a step and under drift, no causal pair is reordered: ${RUNS} runs`, async t => {
  const outside: string[] = [];
  const reordered: string[] = [];
  let [asserted, open] = [0, 0];
  const untilNs = 60 * SECOND;
  for (let seed = 0; seed < RUNS; seed++) {
    const draw = draws(seed + 1_000_000);
    const deviceOf = (): Device => ({
      offsetNs: draw(-SECOND, SECOND),
      drift: draw(-500e-6, 500e-6),
      steps:
        draw(0, 1) < 0.5
          ? [{ atNs: draw(0, untilNs), byNs: draw(0, 1) < 0.2 ? -SECOND : draw(-5 * SECOND, 5 * SECOND) }]
          : [],
    });
    const [a, b] = [deviceOf(), deviceOf()];
    const [ofA, ofB] = [
      await readingsOf('a', a, { draw, everyNs: 10 * SECOND, untilNs }),
      await readingsOf('b', b, { draw, everyNs: 10 * SECOND, untilNs }),
    ];
    for (let pair = 0; pair < 20; pair++) {
      // The cause happens on a, its effect on b from microseconds to a tenth of a second later; each is stamped by its own clock.
      const causeNs = draw(0.1 * SECOND, 49 * SECOND);
      const effectNs = causeNs + 10 ** draw(3, 8);
      const [atA, atB] = [clockAt(ofA, causeNs), clockAt(ofB, effectNs)];
      if (!atA || !atB) {
        outside.push(`seed ${seed}: not known at ${causeNs}`);
        continue;
      }
      const [offA, offB] = [trueOffsetNs(a, causeNs), trueOffsetNs(b, effectNs)];
      if (Math.abs(atA.offsetNs - offA) > atA.boundNs) outside.push(`seed ${seed}: a at ${causeNs}`);
      if (Math.abs(atB.offsetNs - offB) > atB.boundNs) outside.push(`seed ${seed}: b at ${effectNs}`);
      const [stampA, stampB] = [causeNs + offA - atA.offsetNs, effectNs + offB - atB.offsetNs];
      const sureNs = atA.boundNs + atB.boundNs;
      if (stampB - stampA > sureNs) asserted++;
      else if (stampA - stampB > sureNs) reordered.push(`seed ${seed}: ${stampA - stampB} ns`);
      else open++;
    }
  }
  t.comment(`${20 * RUNS} pairs: ${asserted} in order, ${open} left open, ${reordered.length} reordered`);
  t.same(reordered.slice(0, 5), []);
  t.same(outside.slice(0, 5), []);
  t.ok(asserted > RUNS, 'order is told where it can be');
});

const clock = (device: string, atNs: number, offsetNs: number, boundNs: number): ClockLine => ({
  kind: 'clock',
  device,
  atNs,
  offsetNs,
  boundNs,
});

void t.test('by hand: between two readings, before the first and after the last', async t => {
  const lines = [clock('a', 0, 1 * MS, 100), clock('a', 10 * SECOND, 3 * MS, 200)];
  t.equal(clockAt(lines, -1), undefined);
  t.equal(clockAt(lines, 10 * SECOND + 1), undefined);
  t.same(clockAt(lines, 0), { offsetNs: 1 * MS, boundNs: 100 });
  t.same(clockAt(lines, 10 * SECOND), { offsetNs: 3 * MS, boundNs: 200 });
  // 600 ppm of 4 s are 2.4 ms, of 6 s 3.6 ms: from min(1 - 2.4, 3 - 3.6) to max(1 + 2.4, 3 + 3.6) ms, and the bounds.
  const { offsetNs = 0, boundNs = 0 } = clockAt(lines, 4 * SECOND) ?? {};
  t.ok(Math.abs(offsetNs - boundNs - (-1.4 * MS - 100)) < 1, String(offsetNs - boundNs));
  t.ok(Math.abs(offsetNs + boundNs - (6.6 * MS + 200)) < 1, String(offsetNs + boundNs));
});

/** The hand-made run as a lab of real devices would have recorded it: clocks, and 2 ms for the commands of the fault. */
function realRun(clocks: readonly ClockLine[]): readonly RecordLine[] {
  return handMadeRun({ expect: [] }).flatMap((line): readonly RecordLine[] => {
    if (line.kind === 'run') return [{ ...line, world: 'lab', trainPackets: null }];
    if (line.kind === 'fault') return [{ ...line, bracketNs: 2 * MS }];
    return line.kind === 'end' ? [...clocks, line] : [line];
  });
}

const BOX = 'north';
const HOST = 'a-host-1';

void t.test('U of a recovery between two devices, by hand; not known where a clock was not read', async t => {
  const measure = (clocks: readonly ClockLine[]) => {
    const lines = realRun(clocks);
    return { lines, seen: jobRecoveryKpi.measure(runView(lines[0] as RunLine, lines), 'northCut') };
  };
  const fault = realRun([]).find(line => line.kind === 'fault');
  if (fault?.kind !== 'fault') throw new Error('the hand-made run has a fault');
  const { seen: without } = measure([]);
  t.equal(without.uncertainty, undefined, 'no clock was read');
  const value = without.samples[0] ?? without.exceeds ?? Number.NaN;
  const endNs = fault.injectedNs + value;
  const box = [clock(BOX, fault.injectedNs, 5 * MS, 0.3 * MS)];
  t.equal(measure(box).seen.uncertainty, undefined, 'one of two clocks was read');
  const { seen } = measure([...box, clock(HOST, endNs, -2 * SECOND, 0.4 * MS)]);
  // 1 us printed, 100 ppm of the value, 2 ms of commands, 0.3 ms and 0.4 ms of the clocks. The offsets themselves do not enter.
  t.ok(
    Math.abs((seen.uncertainty ?? 0) - (1e3 + 1e-4 * value + 2.7 * MS)) < 1,
    `${seen.uncertainty} for a value of ${value}`,
  );
});

void t.test('events of two nodes are in an order only where their clocks allow it', async t => {
  const event = (node: string, atNs: number): RecordLine => ({ kind: 'event', node, atNs, what: 'linkDown' });
  const orders = (parts: readonly RecordLine[], world: 'sim' | 'lab' = 'lab') => {
    const [run] = realRun([]);
    return placedEvents([{ ...(run as RunLine), world }, ...parts])?.map(({ order, boundNs }) => [order, boundNs]);
  };
  // Two clocks, known to 1 ms each at 10 ms and at 13 ms.
  const clocks = [10, 11.5, 13].flatMap(ms => ['a', 'b'].map(node => clock(node, ms * MS, 0, 1 * MS)));
  const events = [event('b', 13 * MS), event('a', 10 * MS), event('b', 11.5 * MS), event('a', 13 * MS)];
  t.same(orders([...clocks, ...events]), [
    ['', 1 * MS],
    ['about the same time as a', 1 * MS],
    ['', 1 * MS],
    ['about the same time as b', 1 * MS],
  ]);
  t.same(orders([...clocks, event('a', 10 * MS), event('b', 13 * MS)]), [
    ['', 1 * MS],
    ['a before', 1 * MS],
  ]);
  t.same(orders([event('a', 0), event('b', 9 * SECOND)]), [
    ['', undefined],
    ['order to a not known', undefined],
  ]);
  t.equal(orders(events, 'sim'), undefined, 'a simulated order is exact');
});
