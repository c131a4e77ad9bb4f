import t, { type Test } from 'tap';
import { counterCache } from '../../../emulators/device/counter-cache.ts';
import { startSnmpAgent } from '../../../emulators/device/snmp-agent.ts';
import { SNMP, SnmpStore } from '../../../emulators/device/snmp-store.ts';
import { Random } from '../../../emulators/fabric-sim/kernel/random.ts';
import type { RawPortCounters, Switch } from '../../../harness/binding/switch.ts';
import { ifMib } from '../../../harness/drivers/if-mib.ts';
import { connectSnmp } from '../../../harness/drivers/snmp.ts';
import { CounterHistory } from '../../../harness/lab/counter-history.ts';
import { measureRefresh, octetsOf, type Refresh } from '../../../harness/lab/measure-refresh.ts';
import { observeAll, sampleSwitches } from '../../../harness/lab/observe.ts';
import type { OpenLab } from '../../../harness/lab/open-lab.ts';
import { StaleSamples } from '../../../harness/lab/stale-samples.ts';
import type { RecordLine } from '../../../harness/model/record.ts';
import { fabric } from '../hand-made-run.ts';

const S = 1e9;
const CASES = Number(process.env['FARSPAN_REFRESH_CASES'] ?? 2000);

/** A clock that moves when somebody waits, and a little with every poll. */
function handClock(pollNs = 5e6) {
  let ns = 0;
  return {
    nowNs: () => ns,
    now: async () => ns,
    wait: async (more: number) => void (ns += more),
    poll: () => void (ns += pollNs),
  };
}

void t.test('the period of a cache lies within the bound that is given for it, whatever both are', async t => {
  const outside: string[] = [];
  const widest: number[] = [];
  for (let seed = 0; seed < CASES; seed++) {
    const random = new Random(seed);
    const periodNs = (0.5 + 12 * random.fraction()) * S;
    const offsetNs = random.fraction() * periodNs;
    const clock = handClock(1e6 + random.fraction() * 80e6);
    const read = async (): Promise<string> => {
      const text = String(Math.floor((clock.nowNs() + offsetNs) / periodNs));
      clock.poll();
      return text;
    };
    const found = await measureRefresh({ read, now: clock.now, wait: clock.wait });
    if (found.missing !== undefined || found.leastNs > periodNs || found.mostNs < periodNs)
      outside.push(`seed ${seed}: ${periodNs} ns, found ${JSON.stringify(found)}`);
    else widest.push((found.mostNs - found.leastNs) / S);
  }
  t.comment(`${CASES} caches from 0.5 s to 12.5 s: the bound is ${Math.max(...widest).toFixed(2)} s wide at most`);
  t.same(outside.slice(0, 5), []);
});

void t.test('a device that stands still, and one that moves at every poll, are told apart', async t => {
  const clock = handClock();
  const still = await measureRefresh({ read: async () => (clock.poll(), 'same'), now: clock.now, wait: clock.wait });
  t.match(still, { missing: /^no counter moved in 40\.\d s: there is no traffic, or/ });
  let count = 0;
  const live = await measureRefresh({
    read: async () => (clock.poll(), String(count++)),
    now: clock.now,
    wait: clock.wait,
  });
  t.match(live, { periodNs: 0, leastNs: 0, refreshes: 4 });
  t.ok((live as Exclude<Refresh, { missing: string }>).mostNs < S, 'and no coarser than the polls');
  const stopped = await measureRefresh({ read: async () => 'same', now: async () => 5, wait: async () => {} });
  t.match(stopped, { missing: /clock of the lab stood still/ });
});

/** An SNMP agent whose one port counts 1000 B in a microsecond, and which refreshes every three seconds. */
async function cachingSwitch(t: Test, clock: ReturnType<typeof handClock>) {
  const counted = (): bigint => BigInt(Math.floor(clock.nowNs() / 1000)) * 1000n;
  const live = new SnmpStore([
    { oid: '1.3.6.1.2.1.1.3.0', type: SNMP.timeTicks, value: () => Math.floor(clock.nowNs() / 1e7) },
    { oid: '1.3.6.1.6.3.10.2.1.2.0', type: SNMP.integer, value: 1 },
    { oid: '1.3.6.1.2.1.2.2.1.2.1', type: SNMP.octets, value: Buffer.from('Ethernet0') },
    { oid: '1.3.6.1.2.1.2.2.1.8.1', type: SNMP.integer, value: 1 },
    { oid: '1.3.6.1.2.1.31.1.1.1.1.1', type: SNMP.octets, value: Buffer.from('Ethernet0') },
    { oid: '1.3.6.1.2.1.31.1.1.1.6.1', type: SNMP.counter64, value: counted },
    { oid: '1.3.6.1.2.1.31.1.1.1.10.1', type: SNMP.counter64, value: counted },
    { oid: '1.3.6.1.2.1.31.1.1.1.15.1', type: SNMP.gauge32, value: 100_000 },
  ]);
  const store = counterCache({ refreshNs: 3 * S, nowNs: clock.nowNs, bootedNs: () => 0 })(live);
  const agent = await startSnmpAgent({
    port: 0,
    community: 'lab',
    engineId: Buffer.from('80001f880463616368', 'hex'),
    store: () => store,
  });
  t.teardown(() => agent.close());
  const session = connectSnmp({
    device: 'leaf',
    host: '127.0.0.1',
    port: agent.port,
    as: { community: 'lab' },
    deadlineMs: 2000,
  });
  t.teardown(() => session.close());
  return session;
}

void t.test('an emulated agent that caches is measured, and its samples claim no finer time', async t => {
  const clock = handClock();
  const session = await cachingSwitch(t, clock);
  const read = async (): Promise<string> => (clock.poll(), octetsOf(session));
  const refresh = await measureRefresh({ read, now: clock.now, wait: clock.wait });
  t.comment(JSON.stringify(refresh));
  if (refresh.missing !== undefined) throw new Error(refresh.missing);
  t.ok(refresh.leastNs <= 3.2 * S && refresh.mostNs >= 3 * S && Math.abs(refresh.periodNs - 3 * S) < 0.3 * S);

  const mib = ifMib({ session, isPort: name => name === 'Ethernet0' });
  const device = { sample: mib.read, counters: mib.read } as unknown as Switch;
  const lines: RecordLine[] = [];
  const lab = {
    topology: fabric(),
    epochNs: 0,
    clock: {
      kind: 'wall',
      now: clock.now,
      elapse: async ({ forNs }: { readonly forNs: number }) => (await clock.wait(forNs), true),
      truth: async () => [],
    },
    switches: new Map([['a-leaf-1', device]]),
    hosts: new Map(),
    solution: { portsOf: () => [{ name: 'up1', port: 'Ethernet0' }] },
    record: (line: RecordLine) => void lines.push(line),
  } as unknown as OpenLab;
  const history = new CounterHistory();
  const stale = new StaleSamples(() => refresh.mostNs);
  const options = { lab, history, stale, quiet: new Map<string, number>() };
  const beforeNs = clock.nowNs();
  await observeAll(options);
  t.ok(clock.nowNs() - beforeNs >= refresh.mostNs, 'a full reading waits until the agent has refreshed');
  history.baselineTaken();
  for (let i = 0; i < 8; i++) {
    await clock.wait(S);
    await sampleSwitches(options);
  }
  const rx = lines.map(line => (line.kind === 'counters' ? (line.ports['up1']?.rxBytes ?? null) : undefined));
  t.comment(`rxBytes, one sample a second: ${JSON.stringify(rx)}`);
  const told = rx.filter(value => typeof value === 'number');
  t.ok(told.length >= 3 && told.length <= 4, 'one value for each refresh');
  t.equal(new Set(told).size, told.length, 'none twice: what stands in the cache is no traffic-free second');
  t.ok(
    lines.every(line => line.kind !== 'counters' || (line.bracketNs ?? 0) >= refresh.mostNs),
    'each reading says how old it may be',
  );
  t.notOk(
    lines.some(line => line.kind === 'event'),
    'and nothing was split',
  );
});

void t.test('where nobody measured, a device that stands still is not known to be idle', async t => {
  const raw = (rxBytes: bigint): ReadonlyMap<string, RawPortCounters> => new Map([['up1', { rxBytes, operUp: true }]]);
  const measured = new StaleSamples(() => 3 * S);
  const unknown = new StaleSamples(() => undefined);
  const live = new StaleSamples(() => 0);
  const held = (samples: StaleSamples, atS: number, rxBytes: bigint): boolean =>
    samples.isHeld('leaf', { ports: raw(rxBytes), atNs: atS * S });
  for (const samples of [measured, unknown, live]) t.notOk(held(samples, 0, 5n));
  t.same(
    [measured, unknown, live].map(samples => held(samples, 2, 5n)),
    [true, true, false],
  );
  t.same(
    [measured, unknown, live].map(samples => held(samples, 60, 5n)),
    [false, true, false],
  );
  t.same(
    [measured, unknown, live].map(samples => held(samples, 61, 6n)),
    [false, false, false],
  );
});
