import t from 'tap';
import { Random } from '../../../emulators/fabric-sim/kernel/random.ts';
import type { RawPortCounters, Vouched } from '../../../harness/binding/switch.ts';
import { CounterHistory, type Counted } from '../../../harness/lab/counter-history.ts';
import { mostGrowth, octetWrapNs } from '../../../harness/lab/most-growth.ts';
import { restarted } from '../../../harness/lab/restarted.ts';

const CASES = Number(process.env['FARSPAN_COUNTER_CASES'] ?? 100_000);

t.setTimeout(Math.max(60_000, CASES));

const S = 1e9;
const DAY_S = 86_400;
const WRAP_TICKS = 2 ** 32;

const vouch = (change: Partial<Vouched> = {}): Vouched => ({
  upTicks: 1000,
  boots: 1,
  discontinuityTicks: 0,
  ifIndex: 1,
  rateBps: 400e9,
  ...change,
});

/** A history whose baseline is taken, read second by second. */
function watched() {
  const history = new CounterHistory();
  let atS = 0;
  const read = (raw: RawPortCounters, afterS = 1): Counted => {
    atS += afterS;
    return history.since({ node: 'leaf', port: 'up1', atNs: atS * S }, raw);
  };
  return { history, read };
}

void t.test('32-bit counters wrap as fast as published, and that is what bounds them', async t => {
  const published: readonly (readonly [rateBps: number, wrapMs: number])[] = [
    [800e9, 42.9],
    [400e9, 85.9],
    [100e9, 343.6],
    [10e9, 3436],
    [650e6, 52_860],
  ];
  for (const [rateBps, wrapMs] of published)
    t.ok(Math.abs(octetWrapNs(rateBps) / 1e6 / wrapMs - 1) < 0.002, `${rateBps} b/s: ${octetWrapNs(rateBps) / 1e6} ms`);
  const packets = (seconds: number): bigint | undefined =>
    mostGrowth('rxPackets', { rateBps: 400e9, overNs: seconds * S });
  const full = 2n ** 32n;
  t.ok((packets(7.1) ?? 0n) < full && (packets(7.3) ?? 0n) >= full, 'packets of 64 B at 400 Gb/s wrap in 7.2 s');
  t.equal(mostGrowth('rxBytes', { rateBps: undefined, overNs: S }), undefined, 'without a rate nothing is bounded');
});

void t.test('sysUpTime that wraps after 497 days is no restart, and a restart long ago is one', async t => {
  const since = (then: number, now: number, passedS: number, boots: number | null = null): string | undefined =>
    restarted({
      before: { vouched: vouch({ upTicks: then, boots }), atNs: 0 },
      now: { vouched: vouch({ upTicks: now, boots }), atNs: passedS * S },
      bracketNs: 0,
    });
  t.equal(since(WRAP_TICKS - 500, 500, 10), undefined, 'the wrap');
  t.match(since(WRAP_TICKS - 500, 500, 60), /sysUpTime was/, 'the same ticks after another time are no wrap');
  t.match(since(1_000_000, 500, 10), /sysUpTime was 10000 s and is 5 s/);
  t.match(since(1000, 2000, 3600), /sysUpTime/, 'it passed its old value, but an hour passed');
  t.equal(since(100 * DAY_S, 100 * DAY_S + 6000, 60), undefined);
  t.equal(since(100_000, 106_050, 60), undefined, 'a clock that is half a per cent off');
  t.match(
    restarted({
      before: { vouched: vouch({ boots: 4 }), atNs: 0 },
      now: { vouched: vouch({ boots: 5, upTicks: 1100 }), atNs: S },
      bracketNs: 0,
    }),
    /snmpEngineBoots was 4 and is 5/,
  );
});

void t.test('growth is told within a segment, and never from one to the next', async t => {
  const { history, read } = watched();
  const counters = (bytes: bigint, change: Partial<Vouched> = {}): RawPortCounters => ({
    rxBytes: bytes,
    vouched: vouch(change),
  });
  t.match(read(counters(500n)), { counters: { rxBytes: 0 } });
  history.baselineTaken();
  t.same(read(counters(700n, { upTicks: 1100 })), { counters: { rxBytes: 200 }, anew: [], breaks: [] });
  t.match(read(counters(900n, { upTicks: 10, boots: 2 })), {
    counters: { rxBytes: 0 },
    anew: ['rxBytes'],
    breaks: [/snmpEngineBoots was 1 and is 2/],
  });
  t.same(read(counters(950n, { upTicks: 110, boots: 2 })).counters, { rxBytes: 50 }, 'the new segment goes on');
  const moved = { upTicks: 210, boots: 2, discontinuityTicks: 200 };
  t.match(read(counters(990n, moved)), { anew: ['rxBytes'], breaks: ['ifCounterDiscontinuityTime changed'] });
  const renumbered = { ...moved, upTicks: 310, ifIndex: 9 };
  t.match(read(counters(999n, renumbered)), { anew: ['rxBytes'], breaks: ['its ifIndex was 1 and is 9'] });
  t.match(read({ rxBytes: null, vouched: vouch({ ...renumbered, upTicks: 410 }) }), {
    counters: { rxBytes: null },
    anew: [],
  });
  t.same(
    read(counters(1099n, { ...renumbered, upTicks: 510 })).counters,
    { rxBytes: 100 },
    'a reading that failed loses nothing',
  );
  t.match(read(counters(40n, { ...renumbered, upTicks: 610 })), { breaks: ['rxBytes went backwards'] }, 'a clear');
  t.match(
    read(counters(10n ** 15n, { ...renumbered, upTicks: 710 })),
    { anew: ['rxBytes'], breaks: ['rxBytes grew by more than its port can carry'] },
    'a petabyte in a second at 400 Gb/s',
  );
});

void t.test('a restart that one port shows is a restart of all, also of those that nothing vouches for', async t => {
  const history = new CounterHistory();
  const read = (port: string, atS: number, raw: RawPortCounters): Counted =>
    history.since({ node: 'leaf', port, atNs: atS * S }, raw);
  read('up1', 0, { rxBytes: 5n, vouched: vouch() });
  read('up2', 0, { pfcRx: 5n });
  history.baselineTaken();
  t.same(read('up1', 1, { rxBytes: 9n, vouched: vouch({ upTicks: 3, boots: 2 }) }).anew, ['rxBytes']);
  t.same(read('up2', 1, { pfcRx: 9n }).anew, ['pfcRx']);
  t.same(read('up1', 2, { rxBytes: 11n, vouched: vouch({ upTicks: 103, boots: 2 }) }).counters, { rxBytes: 2 });
});

void t.test('a 32-bit counter is followed over its wrap, and not where it may have wrapped twice', async t => {
  const { history, read } = watched();
  let upTicks = 0;
  const drops = (count: bigint, afterS: number): Counted => {
    upTicks += afterS * 100;
    return read({ drops: count, narrow: ['drops'], vouched: vouch({ upTicks }) }, afterS);
  };
  drops(2n ** 32n - 10n, 1);
  history.baselineTaken();
  t.same(drops(20n, 1).counters, { drops: 30 }, 'over the wrap');
  const unsure = drops(50n, 60);
  t.same(unsure.counters, { drops: null }, 'a minute at 400 Gb/s is many wraps of packets of 64 B');
  t.match(unsure.breaks, [/32 bits and may have wrapped more than once/]);
  t.match(drops(60n, 1), { counters: { drops: 0 }, anew: ['drops'] });
  t.same(drops(61n, 1).counters, { drops: 1 });
  const { history: other, read: readNic } = watched();
  const nic = (rxPackets: bigint, outOfSequence: bigint): Counted =>
    readNic({ rxPackets, outOfSequence, narrow: ['outOfSequence'] }, 3600);
  nic(0n, 2n ** 32n - 1n);
  other.baselineTaken();
  t.match(nic(10n ** 9n, 4n), { counters: { outOfSequence: 5 } }, 'no more can be out of sequence than arrived');
  t.match(nic(10n ** 11n, 5n), { counters: { outOfSequence: null } });
});

void t.test(
  'an agent that caches shows more than a line carries, and the reading before is said to be old',
  async t => {
    const history = new CounterHistory();
    const read = (atS: number, rxBytes: bigint): Counted =>
      history.since(
        { node: 'leaf', port: 'up1', atNs: atS * S, cachedNs: 5 * S },
        { rxBytes, vouched: vouch({ upTicks: atS * 100 }) },
      );
    read(10, 0n);
    history.baselineTaken();
    const second = 50_000_000_000n;
    t.match(read(11, 4n * second), { counters: { rxBytes: 200e9 }, anew: [], older: true });
    t.notOk(read(21, 5n * second).older);
  },
);

/** What befalls a device between two readings of a random case. */
type Trouble = 'none' | 'reboot' | 'silent reboot' | 'discontinuity' | 'clear' | 'renumbered' | 'unread' | 'long gap';
const TROUBLES: readonly Trouble[] = [
  'none',
  'none',
  'none',
  'reboot',
  'silent reboot',
  'discontinuity',
  'clear',
  'renumbered',
  'unread',
  'long gap',
];
const RATES = [1e9, 10e9, 100e9, 400e9, 800e9];
const READINGS = 8;

/** Frames and trains by which a counter may be ahead (`most-growth.ts`), B. */
const BURST_BYTES = 256 * 1024;

/**
 * One device of which a 64-bit and a 32-bit counter are read again and again while things befall it.
 *
 * @returns what was wrong, in words
 */
function playCase(seed: number): { readonly wrong: readonly string[]; readonly grown: number; readonly split: number } {
  const random = new Random(seed);
  const below = (most: number): number => random.word() % most;
  const rateBps = RATES[below(RATES.length)] as number;
  const tellsBoots = below(2) === 0;
  const history = new CounterHistory();
  const wrong: string[] = [];
  let [atNs, upTicks, boots, ifIndex, discontinuityTicks] = [
    0,
    // Without engine boots a restart at the very wrap of sysUpTime looks as the wrap does, and nobody can tell.
    tellsBoots && below(2) === 0 ? WRAP_TICKS - below(3000) : 500_000 + below(1e9),
    1,
    1,
    0,
  ];
  let bytes = BigInt.asUintN(64, below(4) === 0 ? -BigInt(below(2 ** 31)) : BigInt(below(2 ** 31)));
  let drops = BigInt(2 ** 32 - below(2 ** 20));
  /** Counted since the last loss, without bounds; and how often a count was lost. */
  let [trueBytes, trueDrops, bytesLost, dropsLost] = [0n, 0n, 0, 0];
  let before:
    | { readonly counted: Counted; readonly atNs: number; readonly truth: readonly [bigint, bigint, number, number] }
    | undefined;
  /** What the 64-bit counter showed when it was last read. */
  let shown = 0n;
  let [grown, split] = [0, 0];
  for (let reading = 0; reading < READINGS; reading++) {
    const trouble: Trouble = reading === 0 ? 'none' : (TROUBLES[below(TROUBLES.length)] as Trouble);
    const isRestart = trouble === 'reboot' || trouble === 'silent reboot';
    // Without engine boots a restart must take longer than sysUpTime is trusted to: no agent is back within a second or two.
    const downNs = isRestart && !tellsBoots ? 3 * S : 0;
    const passedNs = trouble === 'long gap' ? (60 + below(600)) * S : downNs + 5e8 + below(2e9);
    const moreBytes = BigInt(Math.floor(((rateBps / 8) * passedNs * random.fraction()) / S));
    const moreDrops =
      below(3) === 0 ? BigInt(Math.floor((rateBps / 672) * (passedNs / S) * random.fraction())) : BigInt(below(100));
    atNs += passedNs;
    upTicks = (upTicks + Math.round(passedNs / 1e7)) % WRAP_TICKS;
    [bytes, drops] = [bytes + moreBytes, drops + moreDrops];
    [trueBytes, trueDrops] = [trueBytes + moreBytes, trueDrops + moreDrops];
    if (isRestart) {
      upTicks = below(40);
      boots++;
      // After a silent one more was counted than before, so only the voucher can tell.
      [bytes, drops] = trouble === 'reboot' ? [0n, 0n] : [bytes + 12_345n, drops + 77n];
      [bytesLost, dropsLost] = [bytesLost + 1, dropsLost + 1];
    }
    if (trouble === 'discontinuity') {
      // Never the tick of the one before, which would show nothing.
      discontinuityTicks = upTicks === discontinuityTicks ? upTicks + 1 : upTicks;
      [bytes, drops] = [BigInt(below(1000)), drops + 5n];
      [bytesLost, dropsLost] = [bytesLost + 1, dropsLost + 1];
    }
    // Where nothing was counted before, a clear shows nothing; just below 2^64 it looks as a wrap.
    if (trouble === 'clear' && shown > 0n && shown < 1n << 63n) [bytes, bytesLost] = [0n, bytesLost + 1];
    if (trouble === 'renumbered') ifIndex++;
    if (trouble === 'unread') continue;
    const counted = history.since(
      { node: 'leaf', port: 'up1', atNs },
      {
        rxBytes: BigInt.asUintN(64, bytes),
        drops: BigInt.asUintN(32, drops),
        narrow: ['drops'],
        vouched: vouch({ upTicks, boots: tellsBoots ? boots : null, discontinuityTicks, ifIndex, rateBps }),
      },
    );
    if (reading === 0) history.baselineTaken();
    const truth = [trueBytes, trueDrops, bytesLost, dropsLost] as const;
    split += counted.anew.length;
    for (const [i, key] of (['rxBytes', 'drops'] as const).entries()) {
      const [from, to] = [before?.counted.counters[key], counted.counters[key]];
      if (!before || typeof from !== 'number' || typeof to !== 'number' || counted.anew.includes(key)) continue;
      grown++;
      const grew = to - from;
      const where = `case ${seed}, reading ${reading} after ${trouble}: ${key} grew by ${grew}`;
      const windowNs = atNs - before.atNs;
      const [countedTruly, countedBefore] = [truth[i] as bigint, before.truth[i] as bigint];
      const lost = truth[i + 2] !== before.truth[i + 2];
      if (grew < 0) wrong.push(`${where}: negative`);
      if (key === 'rxBytes' && grew * 8 > 1.02 * rateBps * (windowNs / S) && !counted.older)
        wrong.push(`${where}: above line rate`);
      // A clear to zero that was passed again within one reading is beyond anybody; here nothing counts that fast after it.
      if (lost) wrong.push(`${where}: across a loss`);
      else if (BigInt(grew) !== countedTruly - countedBefore)
        wrong.push(`${where}, in truth ${countedTruly - countedBefore}`);
    }
    before = { counted, atNs, truth };
    shown = BigInt.asUintN(64, bytes);
  }
  return { wrong, grown, split };
}

void t.test(
  'whatever befalls a device: no negative growth, none above line rate, none across a loss, and each the true one',
  async t => {
    t.ok(
      BURST_BYTES * 8 <= 0.01 * 1e9 * 0.5,
      'the burst is less than 1 % of what the slowest port carries between two readings',
    );
    const wrong: string[] = [];
    let [grown, split] = [0, 0];
    for (let seed = 0; seed < CASES; seed++) {
      const played = playCase(seed);
      wrong.push(...played.wrong);
      grown += played.grown;
      split += played.split;
    }
    t.comment(
      `${CASES} cases of ${READINGS} readings: ${grown} growths held against the truth, ${split} series split, ${wrong.length} wrong`,
    );
    t.same(wrong.slice(0, 5), []);
    t.ok(grown > CASES && split > CASES / 2, 'both happened often');
  },
);
