import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import {
  connectionsOf,
  HPCC_DUMBBELL,
  HPCC_GOLDENS,
  pathLinks,
  ROCE_WORKLOADS,
  rocePacketHops,
  UEC_WORKLOADS,
  uecPacketHops,
} from '../../bench/canonical-workloads.ts';
import { completionTimes, findPeer, hpccFlows, htsimFlow, measureChild, uecCounters } from '../../bench/peers.ts';

const WORKLOADS = path.resolve(import.meta.dirname, '../../../shared/reference/sim-workloads');
const noWorkloads = existsSync(WORKLOADS) ? false : `${WORKLOADS} is not there`;

t.test('a peer is found by its flag, then by its variable, or skipped with the reason', async t => {
  const environment = { FARSPAN_HTSIM_UEC: '/bin/sh' };
  t.match(findPeer('htsim-uec', { args: [], environment }), { binary: '/bin/sh' });
  t.match(findPeer('htsim-uec', { args: ['--htsim-uec', '/bin/cat'], environment }), { binary: '/bin/cat' });
  t.match(findPeer('htsim-uec', { args: ['--htsim-uec', '/no/such'], environment }), {
    skip: '/no/such is not an executable file',
  });
  t.match(findPeer('htsim-roce', { args: [], environment }), { skip: /FARSPAN_HTSIM_ROCE/ });
});

t.test('the ends of flows are read from the output of both htsims and of the HPCC fork', async t => {
  const roce = { source: 3, target: 0, bytes: 20_000_768, completionUs: 102_383 };
  t.same(htsimFlow('Flow Roce_3_0 1070 finished at 102383 total bytes 20000768'), roce);
  t.same(
    htsimFlow('...|....Flow Roce_3_0 1070 finished at 102383 total bytes 20000768'),
    roce,
    'after the progress bar',
  );
  t.match(htsimFlow('Flow Roce_3_0 1070 finished at 1.02377e+06 total bytes 200003584'), { completionUs: 1_023_770 });
  t.same(
    htsimFlow(
      'Flow Uec_0_13 flowId 1000000001 uecSrc 0 finished at 176.2 total messages 1 total packets 490 RTS 0 total bytes 2002140 in_flight now 0',
    ),
    { source: 0, target: 13, bytes: 2_002_140, completionUs: 176.2 },
  );
  for (const line of [
    '',
    'startflow Roce_4_0 at 0',
    'Flow Uec_0_13 flowId 1 uecSrc 0 starting at 0',
    'Flow finished at',
  ])
    t.equal(htsimFlow(line), undefined, line);
  t.same(uecCounters('New: 7350 Rtx: 811 RTS: 0 Bounced: 0 ACKs: 7131 NACKs: 811 Pulls: 0 sleek_pkts: 0'), {
    newPackets: 7350,
    retransmissions: 811,
    acknowledgements: 7131,
    negativeAcknowledgements: 811,
  });
  t.equal(uecCounters('Node 3'), undefined);
  const flows = hpccFlows('0b000101 0b010001 10000 100 2000000 2000000000 170091 171840\n');
  t.same(flows, [{ source: 1, target: 256, bytes: 2_000_000, completionUs: 170.091 }]);
  t.throws(() => hpccFlows('0b000101 0b000001 10000 100\n'), /not a line of an FCT file/);
  t.same(completionTimes([...flows, { ...flows[0]!, completionUs: 171.091 }]), {
    minUs: 170.091,
    meanUs: 170.591,
    maxUs: 171.091,
  });
  t.throws(() => completionTimes([]), /no flow/);
});

t.test('a child is measured: its lines, its time, its memory; failures and lateness are errors', async t => {
  const lines: string[] = [];
  const run = (args: readonly string[], deadlineMs = 20_000) =>
    measureChild({ command: 'bash', args, folder: tmpdir(), deadlineMs, onLine: line => lines.push(line) });
  // 200,000 turns of an arithmetic loop: tenths of a second of user time on any machine; no sleep could be mistaken for it
  const busy = await run(['-c', 'for ((i = 0; i < 200000; i++)); do :; done; echo one; echo two >&2; printf three']);
  t.same(lines, ['one', 'three']);
  t.ok(busy.cpuSeconds > 0.02 && busy.cpuSeconds < busy.wallSeconds + 0.5, `${busy.cpuSeconds} s`);
  if (process.platform === 'linux') t.ok((busy.peakRssBytes ?? 0) > 1e6, 'a shell holds more than a megabyte');
  const idle = await run(['-c', 'sleep 0.3']);
  t.ok(idle.wallSeconds >= 0.3 && idle.cpuSeconds < 0.2, 'waiting is not computing');
  await t.rejects(run(['-c', 'echo last; echo wrong >&2; exit 3']), /status 3: "wrong\\n", "last"/);
  await t.rejects(run(['-c', 'sleep 30'], 300), /did not end within 300 ms/);
});

t.test('paths, packet-hops and configurations follow from the topologies', { skip: noWorkloads }, async t => {
  const fatTree = { hostsPerTor: 4, hostsPerPod: 16 };
  t.same(
    [1, 5, 16].map(target => pathLinks(fatTree, { source: 0, target })),
    [2, 4, 6],
  );
  for (const workload of [...ROCE_WORKLOADS, ...UEC_WORKLOADS]) {
    t.ok(existsSync(path.join(WORKLOADS, workload.topology)), workload.topology);
    const connections = await connectionsOf(WORKLOADS, workload);
    // The study counted these hops in both engines.
    if (workload.peer === 'htsim-roce')
      t.equal(rocePacketHops(workload, connections), workload.study.packetHops, workload.name);
  }
  // Counters that uet-htsim 40ccb05 prints for this workload; the study counted its events, three a hop.
  const incast = UEC_WORKLOADS[0]!;
  const counters = {
    newPackets: 308_385,
    retransmissions: 520_470,
    acknowledgements: 308_292,
    negativeAcknowledgements: 520_470,
  };
  const hops = uecPacketHops(incast, await connectionsOf(WORKLOADS, incast), counters);
  t.ok(Math.abs(hops / incast.study.packetHops - 1) < 0.005, `${hops}`);
  for (const name of HPCC_GOLDENS) t.ok(existsSync(path.join(WORKLOADS, 'hpcc', `${name}.conf`)), name);
  t.equal(HPCC_DUMBBELL.files?.FLOW_FILE.split('\n').length, 10, 'a count, 8 flows, an end');
});
