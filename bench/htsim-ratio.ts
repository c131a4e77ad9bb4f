import { loadavg } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import {
  type CanonicalWorkload,
  type Connection,
  connectionsOf,
  HPCC_DUMBBELL,
  pathLinks,
  ROCE_PAYLOAD_BYTES,
  ROCE_WORKLOADS,
  rocePacketHops,
  UEC_WORKLOADS,
  uecPacketHops,
} from './canonical-workloads.ts';
import {
  findPeer,
  measureChild,
  type PeerBinary,
  type PeerFlow,
  type PeerRun,
  runHpcc,
  runHtsimRoce,
  runHtsimUec,
} from './peers.ts';
import type { Simulated } from './simulate.ts';

/*
 * This simulator against the C++ ones, pair by pair: packet-hops per CPU second on the same files. Of each workload the peer, the peer
 * without its warnings (when given) and ours run in turn, so that a busy machine slows all of them; medians over the rounds.
 *
 *   npx tsx bench/htsim-ratio.ts --workloads DIR [--htsim-roce BIN] [--htsim-roce-quiet BIN] [--htsim-uec BIN] [--hpcc-ns3 BIN]
 *     [--rounds 5] [--only WORDS]
 *
 * What is compared: user and system seconds of the peer's whole process with user and system seconds of ours from the opening of the
 * files to the last completion (`ours`), and with our whole process, Node's start and the compilation of TypeScript included (`whole`).
 * Our own compilation of hot code (JIT) is in both. htsim_roce prints a warning for nearly every packet once a queue is deep; it is measured
 * as it is shipped, its output to a pipe, and, when `--htsim-roce-quiet` names a build without these two prints, that too.
 */

const { values } = parseArgs({
  options: {
    workloads: { type: 'string' },
    'htsim-roce': { type: 'string' },
    'htsim-roce-quiet': { type: 'string' },
    'htsim-uec': { type: 'string' },
    'hpcc-ns3': { type: 'string' },
    rounds: { type: 'string', default: '5' },
    only: { type: 'string', default: '' },
  },
});
const DEADLINE_MS = 600_000;
/** Runs that one of two cores must share with others are told as such. */
const BUSY_LOAD = 2;

interface Case {
  readonly name: string;
  readonly targetRatio: number;
  readonly peer: (quiet: boolean) => Promise<PeerRun> | undefined;
  /** Packet-hops of a run of the peer. */
  readonly peerHops: (run: PeerRun) => number;
  /** Exact number that both must have, where the packets are the same. */
  readonly exactHops?: number;
  readonly flows: number;
}

const median = (of: readonly number[]): number => {
  const sorted = of.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length === 0
    ? Number.NaN
    : ((sorted[Math.ceil(middle) - 1] as number) + (sorted[Math.floor(middle)] as number)) / 2;
};

function used(peer: PeerBinary): string | undefined {
  if ('binary' in peer) return peer.binary;
  console.log(`skipped: ${peer.skip}`);
  return undefined;
}

async function casesOf(folder: string): Promise<readonly Case[]> {
  const args = process.argv.slice(2);
  const environment = process.env;
  const roce = used(findPeer('htsim-roce', { args, environment }));
  const uec = used(findPeer('htsim-uec', { args, environment }));
  const hpcc = used(findPeer('hpcc-ns3', { args, environment }));
  const quietPath = values['htsim-roce-quiet'];
  const quiet =
    quietPath === undefined
      ? undefined
      : used(findPeer('htsim-roce', { args: ['--htsim-roce', quietPath], environment: {} }));
  const cases: Case[] = [];
  const named = ({ name }: { readonly name: string }) => name.includes(values.only);
  const filesOf = (workload: CanonicalWorkload) => ({
    connections: path.join(folder, workload.connections),
    topology: path.join(folder, workload.topology),
    nodes: workload.nodes,
    endUs: workload.endUs,
    deadlineMs: DEADLINE_MS,
  });
  for (const workload of roce === undefined ? [] : ROCE_WORKLOADS.filter(named)) {
    const connections = await connectionsOf(folder, workload);
    const { linkRateBps, pfcPackets, name, targetRatio } = workload;
    if (pfcPackets === undefined) continue;
    cases.push({
      name,
      targetRatio,
      flows: connections.length,
      exactHops: rocePacketHops(workload, connections),
      peerHops: ({ flows }) => flows.reduce((sum, flow) => sum + roceHops(workload, flow), 0),
      peer: asQuiet => {
        const binary = asQuiet ? quiet : roce;
        return binary === undefined
          ? undefined
          : runHtsimRoce({ ...filesOf(workload), binary, linkRateBps, pfcPackets });
      },
    });
  }
  for (const workload of uec === undefined ? [] : UEC_WORKLOADS.filter(named)) {
    const connections: readonly Connection[] = await connectionsOf(folder, workload);
    cases.push({
      name: workload.name,
      targetRatio: workload.targetRatio,
      flows: connections.length,
      peerHops: ({ counters }) => (counters ? uecPacketHops(workload, connections, counters) : Number.NaN),
      peer: asQuiet => (asQuiet || uec === undefined ? undefined : runHtsimUec({ ...filesOf(workload), binary: uec })),
    });
  }
  if (hpcc !== undefined && named(HPCC_DUMBBELL)) {
    const { name, targetRatio, study, configuration, files } = HPCC_DUMBBELL;
    cases.push({
      name,
      targetRatio,
      flows: 8,
      peerHops: () => study.packetHops,
      peer: asQuiet =>
        asQuiet
          ? undefined
          : runHpcc({
              binary: hpcc,
              configuration: path.join(folder, configuration),
              deadlineMs: DEADLINE_MS,
              ...(files && { files }),
            }),
    });
  }
  return cases;
}

/** A flow of htsim is whole packets, each with an acknowledgement. */
function roceHops(workload: CanonicalWorkload, flow: PeerFlow): number {
  return ((2 * flow.bytes) / ROCE_PAYLOAD_BYTES) * pathLinks(workload, flow);
}

interface OwnRun extends Simulated {
  readonly wholeCpuS: number;
}

async function runOwn(folder: string, workload: string): Promise<OwnRun> {
  const root = path.resolve(import.meta.dirname, '..');
  let line = '';
  const { cpuSeconds } = await measureChild({
    command: process.execPath,
    args: ['--import', 'tsx', 'bench/simulate.ts', '--workloads', path.resolve(folder), '--workload', workload],
    folder: root,
    deadlineMs: DEADLINE_MS,
    onLine: text => (line = text),
  });
  return { ...(JSON.parse(line) as Simulated), wholeCpuS: cpuSeconds };
}

async function compare(folder: string, one: Case, rounds: number): Promise<readonly string[]> {
  const peers: PeerRun[] = [];
  const quiets: PeerRun[] = [];
  const own: OwnRun[] = [];
  for (let round = 0; round < rounds; round++) {
    const run = await one.peer(false);
    if (run) peers.push(run);
    own.push(await runOwn(folder, one.name));
    const quiet = await one.peer(true);
    if (quiet) quiets.push(quiet);
  }
  for (const { flows } of [...peers, ...quiets])
    if (flows.length !== one.flows)
      throw new Error(`${one.name}: the peer ended ${flows.length} of ${one.flows} flows.`);
  const first = own[0] as OwnRun;
  const peerHops = median(peers.map(one.peerHops));
  if (one.exactHops !== undefined && !(first.hops === one.exactHops && peerHops === one.exactHops))
    throw new Error(`${one.name}: ${first.hops} packet-hops here, ${peerHops} there; ${one.exactHops} are due.`);
  const peerRate = peerHops / median(peers.map(({ cpuSeconds }) => cpuSeconds));
  const quietRate = peerHops / median(quiets.map(({ cpuSeconds }) => cpuSeconds));
  const ownCpu = median(own.map(({ simulationCpuS }) => simulationCpuS));
  const ownRate = first.hops / ownCpu;
  const wholeRate = first.hops / median(own.map(({ wholeCpuS }) => wholeCpuS));
  const megabytes = (bytes: readonly (number | undefined)[]) =>
    (median(bytes.filter(known => known !== undefined)) / 1e6).toFixed(0);
  const fixed = (value: number, digits = 1) => (Number.isNaN(value) ? '-' : value.toFixed(digits));
  return [
    one.name,
    one.exactHops === undefined
      ? `${fixed(first.hops / 1e6, 2)} / ${fixed(peerHops / 1e6, 2)}`
      : fixed(peerHops / 1e6, 2),
    fixed(first.hops / first.events, 2),
    fixed(median(peers.map(({ cpuSeconds }) => cpuSeconds)), 2),
    fixed(ownCpu, 2),
    fixed(peerRate / 1e6, 2),
    fixed(ownRate / 1e6, 2),
    fixed(ownRate / peerRate),
    fixed(ownRate / quietRate),
    fixed(wholeRate / peerRate),
    String(one.targetRatio),
    `${megabytes(own.map(({ peakRssBytes }) => peakRssBytes))} / ${megabytes(peers.map(({ peakRssBytes }) => peakRssBytes))}`,
  ];
}

const COLUMNS = [
  'workload',
  'M hops',
  'hops/event',
  'peer CPU s',
  'our CPU s',
  'peer M/s',
  'our M/s',
  'ratio',
  'to quiet',
  'whole',
  'target',
  'MB ours/peer',
];
const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;

async function main(folder: string): Promise<void> {
  const rounds = Number(values.rounds);
  if (!(Number.isInteger(rounds) && rounds > 0)) throw new RangeError(`--rounds ${values.rounds}`);
  const cases = await casesOf(folder);
  const before = loadavg()[0] as number;
  console.log(`${rounds} rounds, medians; load average at the start ${before.toFixed(1)}\n`);
  console.log(row(COLUMNS));
  console.log(row(COLUMNS.map(() => '---')));
  for (const one of cases) console.log(row(await compare(folder, one, rounds)));
  const after = loadavg()[0] as number;
  const busy = Math.max(before, after) > BUSY_LOAD;
  console.log(
    `\nload average at the end ${after.toFixed(1)}${busy ? ': the machine was busy; only the ratios say something' : ''}`,
  );
}

if (values.workloads === undefined) throw new RangeError('Name the folder of the workloads: --workloads DIR');
await main(values.workloads);
