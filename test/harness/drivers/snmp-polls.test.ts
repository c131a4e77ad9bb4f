import t, { type Test } from 'tap';
import { type SnmpAgent, startSnmpAgent } from '../../../emulators/device/snmp-agent.ts';
import { SNMP, type SnmpRow, SnmpStore } from '../../../emulators/device/snmp-store.ts';
import { Random } from '../../../emulators/fabric-sim/kernel/random.ts';
import type { RawPortCounters } from '../../../harness/binding/switch.ts';
import { ifMib } from '../../../harness/drivers/if-mib.ts';
import { connectSnmp, type SnmpOptions } from '../../../harness/drivers/snmp.ts';
import { CounterHistory } from '../../../harness/lab/counter-history.ts';
import { lossyRelay } from './lossy-relay.ts';

const POLLS = Number(process.env['FARSPAN_SNMP_POLLS'] ?? 5000);
const SEED = Number(process.env['FARSPAN_SNMP_SEED'] ?? 11);
/** Agents that are polled at the same time, each through a relay of its own. */
const AGENTS = 16;
/** Each agent reboots once in this many requests that it answers. */
const REBOOT_EVERY = 100;

t.setTimeout(Math.max(60_000, POLLS * 40));

const COMMUNITY = 'lab';
const USER = { name: 'keeper', auth: 'authkey-secret', priv: 'privkey-secret' } as const;

/** Every counter of a port moves by its own step each tick of 10 us, so one tick explains all of a reading, or none does. */
const STEPS = { rxBytes: 400n, txBytes: 300n, rxPackets: 5n, txPackets: 3n, drops: 2n } as const;
type Counter = keyof typeof STEPS;
const COUNTERS = Object.keys(STEPS) as Counter[];
const PORTS = ['Ethernet0', 'Ethernet4'] as const;
type Port = (typeof PORTS)[number];
const WIDTH: Readonly<Record<Port, 32 | 64>> = { Ethernet0: 64, Ethernet4: 32 };
/** 400 B in a tick are 320 Mb/s, and 5 packets 0.5 of the 0.97 million a second that 650 Mb/s carry. */
const RATE_BPS: Readonly<Record<Port, number>> = { Ethernet0: 400e9, Ethernet4: 650e6 };

const TICK_NS = 10_000;
const nowTick = (): number => Math.floor((performance.now() * 1e6) / TICK_NS);
const modulo = (value: bigint, bits: number): bigint => BigInt.asUintN(bits, value);

/** What an agent counts from one boot to the next. */
interface Epoch {
  readonly bootTick: number;
  readonly base: Readonly<Record<Port, Readonly<Record<Counter, bigint>>>>;
}

const bitsOf = (port: Port, counter: Counter): number => (counter === 'drops' ? 32 : WIDTH[port]);
const truth = (
  { base, bootTick }: Epoch,
  at: { readonly port: Port; readonly counter: Counter; readonly tick: number },
): bigint =>
  modulo(base[at.port][at.counter] + STEPS[at.counter] * BigInt(at.tick - bootTick), bitsOf(at.port, at.counter));

/** A switch with a 64-bit and a 32-bit port whose counters move by the law above, wrap, and start again at each boot under another ifIndex. */
async function movingAgent(
  t: Test,
  random: Random,
): Promise<{ readonly agent: SnmpAgent; readonly epochs: readonly Epoch[] }> {
  const epochs: Epoch[] = [];
  let answered = 0;
  let bootedMs = performance.now();
  const boot = (): void => {
    // Near the top, so that they wrap while they are watched.
    const start = (port: Port, counter: Counter): bigint =>
      modulo((1n << BigInt(bitsOf(port, counter))) - BigInt(random.word() % 4_000_000), 64);
    const base = Object.fromEntries(
      PORTS.map(port => [port, Object.fromEntries(COUNTERS.map(counter => [counter, start(port, counter)]))]),
    ) as unknown as Epoch['base'];
    epochs.push({ bootTick: nowTick(), base });
    bootedMs = performance.now();
  };
  boot();
  const rowsOf = (epoch: Epoch, tick: number): SnmpRow[] =>
    PORTS.flatMap((port, i): SnmpRow[] => {
      const swapped = epochs.length % 2 === 0;
      const index = swapped ? PORTS.length - i : i + 1;
      const of = (counter: Counter): bigint => truth(epoch, { port, counter, tick });
      const entry = (column: number, type: SnmpRow['type'], value: SnmpRow['value']): SnmpRow => ({
        oid: `1.3.6.1.2.1.2.2.1.${column}.${index}`,
        type,
        value,
      });
      const wide = (column: number, type: SnmpRow['type'], value: SnmpRow['value']): SnmpRow => ({
        oid: `1.3.6.1.2.1.31.1.1.1.${column}.${index}`,
        type,
        value,
      });
      const narrow32 = (counter: Counter): number => Number(modulo(of(counter), 32));
      return [
        entry(2, SNMP.octets, Buffer.from(port)),
        entry(5, SNMP.gauge32, Math.min(RATE_BPS[port], 2 ** 32 - 1)),
        entry(8, SNMP.integer, 1),
        entry(10, SNMP.counter32, narrow32('rxBytes')),
        entry(11, SNMP.counter32, narrow32('rxPackets')),
        entry(13, SNMP.counter32, 0),
        entry(16, SNMP.counter32, narrow32('txBytes')),
        entry(17, SNMP.counter32, narrow32('txPackets')),
        entry(19, SNMP.counter32, narrow32('drops')),
        wide(1, SNMP.octets, Buffer.from(port)),
        ...(WIDTH[port] === 64
          ? [
              wide(6, SNMP.counter64, of('rxBytes')),
              wide(7, SNMP.counter64, of('rxPackets')),
              wide(10, SNMP.counter64, of('txBytes')),
              wide(11, SNMP.counter64, of('txPackets')),
            ]
          : []),
        wide(15, SNMP.gauge32, RATE_BPS[port] / 1e6),
        wide(19, SNMP.timeTicks, 0),
      ];
    });
  const agent = await startSnmpAgent({
    port: 0,
    community: COMMUNITY,
    users: [{ name: USER.name, auth: 'sha256', authKey: USER.auth, privacy: 'aes', privacyKey: USER.priv }],
    engineId: Buffer.from(`80001f8804${Buffer.from(`poll${random.word()}`).toString('hex')}`, 'hex'),
    engineBoots: () => epochs.length,
    engineSeconds: () => Math.floor((performance.now() - bootedMs) / 1000),
    store: () => {
      if (++answered % REBOOT_EVERY === 0) boot();
      const tick = nowTick();
      const epoch = epochs.at(-1) as Epoch;
      return new SnmpStore([
        { oid: '1.3.6.1.2.1.1.3.0', type: SNMP.timeTicks, value: Math.floor((tick - epoch.bootTick) / 1000) },
        { oid: '1.3.6.1.6.3.10.2.1.2.0', type: SNMP.integer, value: epochs.length },
        ...rowsOf(epoch, tick),
      ]);
    },
  });
  t.teardown(() => agent.close());
  return { agent, epochs };
}

interface Polled {
  readonly port: Port;
  readonly raw: RawPortCounters;
  readonly sentTick: number;
  readonly arrivedTick: number;
}

/** The one instant that explains all counters of a reading, between its sending and its arrival; undefined when there is none. */
function instantOf(
  epochs: readonly Epoch[],
  { port, raw, sentTick, arrivedTick }: Polled,
): { epoch: Epoch; tick: number } | undefined {
  for (const epoch of epochs.toReversed()) {
    // Packets move by 5 in a tick: their distance from the base gives the tick.
    const counted = modulo((raw.rxPackets as bigint) - epoch.base[port].rxPackets, WIDTH[port]);
    if (counted % STEPS.rxPackets !== 0n) continue;
    const tick = epoch.bootTick + Number(counted / STEPS.rxPackets);
    if (tick < sentTick - 1 || tick > arrivedTick + 1) continue;
    if (COUNTERS.every(counter => raw[counter] === truth(epoch, { port, counter, tick }))) return { epoch, tick };
  }
  return undefined;
}

interface Tally {
  polls: number;
  accepted: number;
  unanswered: number;
  failed: number;
  rates: number;
  splits: number;
  nulls: number;
  readonly wrongSamples: string[];
  readonly wrongRates: string[];
  readonly needless: string[];
}

interface Scene {
  readonly as: SnmpOptions['as'];
  readonly flip: number;
  readonly seed: number;
  readonly polls: number;
}

/** Polls one agent through one relay, and holds every sample and every growth against the law. */
async function poll(
  t: Test,
  { as, flip, seed, polls }: Scene,
  tally: Tally,
): Promise<Readonly<Record<string, number>>> {
  const random = new Random(seed);
  const { agent, epochs } = await movingAgent(t, random);
  const noise = new Random(seed, 1);
  const relay = await lossyRelay({
    to: agent.port,
    random: () => noise.fraction(),
    drop: 0.08,
    double: 0.1,
    late: 0.15,
    replay: 0.25,
    flip,
  });
  t.teardown(() => relay.close());
  const session = connectSnmp({
    device: 'leaf',
    host: '127.0.0.1',
    port: relay.port,
    as,
    deadlineMs: 400,
    retryAfterMs: 30,
  });
  t.teardown(() => session.close());
  const mib = ifMib({ session, isPort: name => PORTS.includes(name as Port) });
  const history = new CounterHistory();
  history.baselineTaken();
  const last = new Map<
    string,
    { readonly raw: RawPortCounters; readonly epoch: Epoch; readonly total: Readonly<Record<string, unknown>> }
  >();

  for (let i = 0; i < polls; i++) {
    tally.polls++;
    const sentTick = nowTick();
    const found = await mib.read(PORTS).catch(() => undefined);
    const arrivedTick = nowTick();
    if (!found) tally.failed++;
    for (const port of PORTS) {
      const raw = found?.get(port);
      if (!raw) {
        tally.unanswered++;
        continue;
      }
      tally.accepted++;
      const at = instantOf(epochs, { port, raw, sentTick, arrivedTick });
      if (!at) {
        tally.wrongSamples.push(
          `poll ${i} of seed ${seed}: ${port} ${JSON.stringify(raw, (_, v: unknown) => (typeof v === 'bigint' ? String(v) : v))}`,
        );
        continue;
      }
      const counted = history.since(
        { node: 'leaf', port, atNs: arrivedTick * TICK_NS, bracketNs: (arrivedTick - sentTick + 1) * TICK_NS },
        raw,
      );
      const before = last.get(port);
      const total = counted.counters as Readonly<Record<string, unknown>>;
      last.set(port, { raw, epoch: at.epoch, total });
      if (counted.anew.length > 0) tally.splits++;
      if (counted.anew.length > 0 && before?.epoch === at.epoch)
        tally.needless.push(`poll ${i} of seed ${seed}: ${port} ${counted.breaks.join(', ')}`);
      for (const counter of COUNTERS) {
        const [from, to] = [before?.total[counter], total[counter]];
        if (to === null) tally.nulls++;
        if (!before || typeof from !== 'number' || typeof to !== 'number' || counted.anew.includes(counter)) continue;
        tally.rates++;
        const grew = modulo((raw[counter] as bigint) - (before.raw[counter] as bigint), bitsOf(port, counter));
        if (before.epoch !== at.epoch || BigInt(to - from) !== grew)
          tally.wrongRates.push(
            `poll ${i} of seed ${seed}: ${port} ${counter} grew by ${to - from}, in truth ${before.epoch === at.epoch ? grew : 'across a reboot'}`,
          );
      }
    }
  }
  t.comment(`seed ${seed}: ${epochs.length - 1} reboots; datagrams ${JSON.stringify(relay.counts)}`);
  return relay.counts;
}

async function pollAll(t: Test, scenes: readonly Scene[]): Promise<Tally> {
  const tally: Tally = {
    polls: 0,
    accepted: 0,
    unanswered: 0,
    failed: 0,
    rates: 0,
    splits: 0,
    nulls: 0,
    wrongSamples: [],
    wrongRates: [],
    needless: [],
  };
  await Promise.all(scenes.map(scene => poll(t, scene, tally)));
  const { wrongSamples, wrongRates, needless, ...counts } = tally;
  t.comment(JSON.stringify(counts));
  t.same(wrongSamples.slice(0, 5), [], 'every accepted sample is the truth of one instant between question and answer');
  t.same(wrongRates.slice(0, 5), [], 'every growth is the true one, and none crosses a reboot');
  t.same(needless.slice(0, 5), [], 'a series is split at reboots, and nowhere else');
  t.ok(tally.accepted > tally.polls, `${tally.accepted} port readings of ${tally.polls} polls were accepted`);
  t.ok(tally.splits > 0, 'there were reboots to split at');
  return tally;
}

const v3: SnmpOptions['as'] = {
  user: {
    name: USER.name,
    auth: { protocol: 'sha256', key: USER.auth },
    priv: { protocol: 'aes128', key: USER.priv },
  },
};
const share = Math.ceil(POLLS / AGENTS);

void t.test(
  'SNMPv3 through loss, doubling, reordering, old answers and turned bits: no wrong sample is accepted',
  async t => {
    const scenes = Array.from({ length: AGENTS / 2 }, (_, i) => ({ as: v3, flip: 0.05, seed: SEED + i, polls: share }));
    await pollAll(t, scenes);
  },
);

void t.test('SNMPv2c through loss, doubling, reordering and old answers: no wrong sample is accepted', async t => {
  // v2c has no integrity of its own: turned bits are the UDP checksum's to find, so a datagram with them counts as lost here.
  const as = { community: COMMUNITY };
  const scenes = Array.from({ length: AGENTS / 2 }, (_, i) => ({ as, flip: 0, seed: SEED + 100 + i, polls: share }));
  await pollAll(t, scenes);
});
