import t from 'tap';
import { busbw } from '../../harness/checks/busbw.ts';
import { loss } from '../../harness/checks/loss.ts';
import { linkDown } from '../../harness/faults/link-down.ts';
import { allReduce } from '../../harness/loads/all-reduce.ts';
import type { Check } from '../../harness/model/check.ts';
import type { Fault } from '../../harness/model/fault.ts';
import type { PortCounters, RecordLine, RunLine } from '../../harness/model/record.ts';
import { linkBetween } from '../../harness/model/topology.ts';
import { judge } from '../../harness/run/judge.ts';
import { runView } from '../../harness/run/run-view.ts';
import { disagreements } from '../../harness/run/two-witnesses.ts';
import { fabric } from './hand-made-run.ts';

const MS = 1e6;
const GB = 1e9;

interface Ends {
  /** What the NIC of a-host-1 and port host1 of a-leaf-1 counted in 100 ms. */
  readonly nic: PortCounters;
  readonly port: PortCounters;
  /** How much later the NIC was read, ms, and what a reading took. */
  readonly laterMs?: number;
  readonly bracketMs?: number;
  readonly faults?: readonly Fault[];
  readonly expect?: readonly Check[];
}

const COUNTED: PortCounters = { txBytes: GB, rxBytes: GB, txPackets: 250_000, rxPackets: 250_000, pfcTx: 10, pfcRx: 4 };
const SEEN: PortCounters = { txBytes: GB, rxBytes: GB, txPackets: 250_000, rxPackets: 250_000, pfcTx: 4, pfcRx: 10 };
const NONE = Object.fromEntries(Object.keys(COUNTED).map(key => [key, 0])) as PortCounters;

/** A run of one phase of 100 ms at 100 Gb/s. */
function runOf({ nic, port, laterMs = 0, bracketMs = 0, faults = [], expect = [] }: Ends): readonly RecordLine[] {
  const read = (atMs: number, node: string, name: string, counters: PortCounters): RecordLine => ({
    kind: 'counters',
    atNs: atMs * MS,
    ...(bracketMs > 0 && { bracketNs: bracketMs * MS }),
    node,
    ports: { [name]: counters },
  });
  const run: RunLine = {
    kind: 'run',
    format: 2,
    version: '0.0.0',
    scenario: { title: 'two witnesses', file: 'two.ts', line: 1, tags: [] },
    world: 'sim',
    seed: 1,
    trainPackets: 1,
    options: {},
    plan: {
      why: 'both ends of a cable',
      topology: fabric(),
      load: allReduce({ bytes: '64 MiB' }),
      phases: { only: { for: '1 rounds', faults } },
      expect,
    },
    decision: 'simple',
    profile: null,
  };
  return [
    run,
    read(0, 'a-leaf-1', 'host1', { ...NONE, drops: 0 }),
    read(0, 'a-host-1', 'eth0', NONE),
    { kind: 'round', round: 0, beginNs: 0, endNs: 100 * MS, busbwBps: 80e9, wrong: 0 },
    read(100, 'a-leaf-1', 'host1', { drops: 0, ...port }),
    read(100 + laterMs, 'a-host-1', 'eth0', nic),
    {
      kind: 'phase',
      name: 'only',
      beginNs: 0,
      endNs: (100 + laterMs) * MS,
      ended: 'work',
      rounds: { asked: 1, done: 1, first: 0 },
      readNs: [0, 100 * MS],
    },
    { kind: 'end', atNs: 200 * MS, reason: 'complete' },
  ];
}

const compare = (ends: Ends): ReturnType<typeof disagreements> => {
  const lines = runOf(ends);
  return disagreements(runView(lines[0] as RunLine, lines), 'only');
};

void t.test('what one end sent the other received: bytes, packets and PFC frames, both ways', async t => {
  t.same(compare({ nic: COUNTED, port: SEEN }), { compared: 6, apart: [] });
  const { apart } = compare({ nic: COUNTED, port: { ...SEEN, rxBytes: 0.9 * GB } });
  t.match(apart, [/^a-host-1 eth0 sent 1000000000 B and a-leaf-1 host1 received 900000000, \d+ apart at most$/]);
  t.match(compare({ nic: COUNTED, port: { ...SEEN, pfcTx: 900 } }).apart, [
    /a-leaf-1 host1 sent 900 PFC frames and a-host-1 eth0 received 4/,
  ]);
  t.match(compare({ nic: { ...COUNTED, rxPackets: 200_000 }, port: SEEN }).apart, [/sent 250000 packets/]);
});

void t.test('the tolerance is what the readings can not tell', async t => {
  const fewer = { ...SEEN, rxBytes: GB - 30_000_000, rxPackets: 242_500 };
  t.equal(compare({ nic: COUNTED, port: fewer }).apart.length, 2, '30 MB of 1 GB are missing at one instant');
  t.same(compare({ nic: COUNTED, port: fewer, laterMs: 3 }).apart, [], '3 ms at 100 Gb/s are 37.5 MB');
  t.same(compare({ nic: COUNTED, port: fewer, bracketMs: 1 }).apart, [], 'two readings at each end of 1 ms each');
  t.same(compare({ nic: COUNTED, port: { ...SEEN, rxBytes: GB - 900_000 } }).apart, [], 'without check sequences');
  t.same(
    compare({ nic: COUNTED, port: { ...SEEN, rxPackets: 249_000, drops: 1000 } }).apart,
    [],
    'what a port dropped it may not have counted as received',
  );
  t.same(compare({ nic: COUNTED, port: { ...SEEN, rxBytes: null } }).compared, 5, 'what was not read is not compared');
  const link = linkBetween(fabric(), 'a-host-1', 'a-leaf-1');
  t.equal(compare({ nic: COUNTED, port: fewer, faults: [linkDown(link)] }).compared, 0);
});

void t.test('a disagreement is shown always, and decides where an expectation rests on counters', async t => {
  const apart = { nic: COUNTED, port: { ...SEEN, rxBytes: 0.9 * GB } };
  const gateOf = (expect: readonly Check[], ends: Ends) =>
    judge(runOf({ ...ends, expect }), { replay: '' }).gates.filter(({ gate }) => gate === 'witness');
  const [lossCheck, rate] = [loss.during('only').atMost('0 packets'), busbw.during('only').atLeast('1 Gb/s')];
  t.match(gateOf([lossCheck], { nic: COUNTED, port: SEEN }), [{ outcome: 'pass', reason: /^6 counts were compared/ }]);
  t.match(gateOf([lossCheck], apart), [
    { outcome: 'inconclusive', reason: /a-host-1 eth0 sent 1000000000 B.* in only/ },
  ]);
  t.match(gateOf([rate], apart), [
    { outcome: 'pass', reason: /received 900000000.*No expectation that decides rests/ },
  ]);
  t.equal(judge(runOf({ ...apart, expect: [lossCheck] }), { replay: '' }).outcome, 'inconclusive');
});
