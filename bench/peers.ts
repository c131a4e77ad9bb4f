import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, readFileSync } from 'node:fs';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Readable } from 'node:stream';

/*
 * The C++ simulators that the bench compares with. They are built outside this repository from their public sources:
 *
 * - htsim-roce  github.com/Broadcom/csg-htsim, `make` in sim (-O3) and `make htsim_roce` in sim/datacenter (-O2)
 * - htsim-uec   github.com/ultraethernet/uet-htsim, CMake Release, target htsim_uec
 * - hpcc-ns3    github.com/astra-sim/astra-network-ns3 (the HPCC fork of ns-3, shipped with -O0: build it with -O3) or
 *               github.com/alibaba-edu/High-Precision-Congestion-Control; a program that takes a configuration file
 *
 * A binary is named on the command line or by an environment variable; without one the comparison is skipped with a reason.
 */

export type PeerName = 'htsim-roce' | 'htsim-uec' | 'hpcc-ns3';

/** Environment variable that names each peer's binary; on the command line it is `--<peer name> <path>`. */
export const PEER_VARIABLES: Readonly<Record<PeerName, string>> = {
  'htsim-roce': 'FARSPAN_HTSIM_ROCE',
  'htsim-uec': 'FARSPAN_HTSIM_UEC',
  'hpcc-ns3': 'FARSPAN_HPCC_NS3',
};

/** A usable binary, or why there is none. */
export type PeerBinary = { readonly binary: string } | { readonly skip: string };

/** Looks for a peer's binary: first `--<peer> <path>` in the arguments, then the environment. The path must be executable. */
export function findPeer(
  peer: PeerName,
  { args, environment }: { args: readonly string[]; environment: Readonly<Record<string, string | undefined>> },
): PeerBinary {
  const variable = PEER_VARIABLES[peer];
  const flag = `--${peer}`;
  const at = args.indexOf(flag);
  const named = at >= 0 ? args[at + 1] : environment[variable];
  if (!named) return { skip: `no ${peer} binary: name it with ${flag} <path> or ${variable}` };
  const binary = path.resolve(named);
  try {
    accessSync(binary, constants.X_OK);
    return { binary };
  } catch {
    return { skip: `${binary} is not an executable file` };
  }
}

/** What a child process used. */
export interface ChildUse {
  /** User and system time of the child and its own children, from the shell's `time` (1 ms). */
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
  /**
   * Greatest resident set that the kernel had recorded (VmHWM) when it was last read; read every 20 ms, so the last moments can be
   * missing. Undefined where /proc does not tell or the child was over before the first reading.
   */
  readonly peakRssBytes: number | undefined;
}

export interface MeasureOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** Working directory. Some peers write files into it. */
  readonly folder: string;
  /** The child is killed then, and `measureChild` rejects. */
  readonly deadlineMs: number;
  /** Every line of standard output, without its end; lines beyond 64 KiB are cut off there. */
  readonly onLine?: (line: string) => void;
}

/** Prints user and system seconds of `"$0" "$@"` on descriptor 3; the command's own standard error goes to 4. */
const TIMED = `TIMEFORMAT='%3U %3S'; { time "$0" "$@" 2>&4 3>&- 4>&-; } 2>&3`;
const MAX_LINE = 65_536;
const MAX_ERROR = 4096;
const SAMPLE_MS = 20;

/**
 * Runs a command to its end and tells what it used. Rejects when it can not be started, ends with a status other than 0 (with the
 * beginning of its standard error and its last line: htsim complains on standard output) or runs past the deadline. Needs bash; resident set sizes need Linux.
 */
export async function measureChild({
  command,
  args,
  folder,
  deadlineMs,
  onLine = () => {},
}: MeasureOptions): Promise<ChildUse> {
  const started = process.hrtime.bigint();
  const child = spawn('bash', ['-c', TIMED, command, ...args], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
    detached: true, // its own process group, so that the deadline ends the command and not only the shell
  });
  const { pid } = child;
  const [, stdout, , timing, stderr] = child.stdio as unknown as [null, Readable, Readable, Readable, Readable];
  let used = '';
  let complaint = '';
  timing.setEncoding('utf8').on('data', (text: string) => (used = (used + text).slice(-256)));
  stderr.setEncoding('utf8').on('data', (text: string) => {
    if (complaint.length < MAX_ERROR) complaint = (complaint + text).slice(0, MAX_ERROR);
  });
  let last = '';
  readLines(stdout, line => {
    last = line;
    onLine(line);
  });
  let peakRssBytes: number | undefined;
  const sampler = setInterval(() => (peakRssBytes = childPeakRss(pid) ?? peakRssBytes), SAMPLE_MS);
  let late = false;
  const deadline = setTimeout(() => {
    late = true;
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  }, deadlineMs);
  try {
    const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
    if (late) throw new Error(`${command} did not end within ${deadlineMs} ms`);
    if (code !== 0) {
      const words = [complaint, last.slice(0, MAX_ERROR)].map(text => JSON.stringify(text)).join(', ');
      throw new Error(`${command} ended with ${signal ?? `status ${code}`}: ${words}`);
    }
  } finally {
    clearInterval(sampler);
    clearTimeout(deadline);
  }
  const times = /^(\d+\.\d+) (\d+\.\d+)$/m.exec(used);
  if (!times) throw new Error(`no times for ${command}: ${JSON.stringify(used)}`);
  return {
    cpuSeconds: Number(times[1]) + Number(times[2]),
    wallSeconds: Number(process.hrtime.bigint() - started) / 1e9,
    peakRssBytes,
  };
}

/** VmHWM of the shell's only child. */
function childPeakRss(shell: number | undefined): number | undefined {
  if (shell === undefined) return undefined;
  try {
    const command = readFileSync(`/proc/${shell}/task/${shell}/children`, 'utf8').trim().split(' ')[0];
    if (!command) return undefined;
    const kilobytes = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${command}/status`, 'utf8'))?.[1];
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
  } catch {
    return undefined; // no /proc, or the child has just ended
  }
}

/** Bounded memory whatever the peer prints: htsim_roce writes a warning per packet on deep queues, 119 MB in one run. */
function readLines(stream: Readable, onLine: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    let from = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', from)) {
      onLine((rest + text.slice(from, end)).slice(0, MAX_LINE));
      rest = '';
      from = end + 1;
    }
    if (rest.length < MAX_LINE) rest += text.slice(from, from + MAX_LINE);
  });
  stream.on('end', () => {
    if (rest) onLine(rest);
  });
}

/** One flow as a peer tells it, in the peer's own numbering. */
export interface PeerFlow {
  readonly source: number;
  readonly target: number;
  /** Of the message; htsim counts whole packets (4096 B each in RoCE, 4086 B in UEC). */
  readonly bytes: number;
  /** From the flow's start to the last acknowledgement at the sender. htsim prints 6 digits and starts at 0. */
  readonly completionUs: number;
}

/** Packets that all senders of a UEC run sent and received. */
export interface UecCounters {
  readonly newPackets: number;
  readonly retransmissions: number;
  readonly acknowledgements: number;
  readonly negativeAcknowledgements: number;
}

export interface PeerRun extends ChildUse {
  /** In the order of their ends. */
  readonly flows: readonly PeerFlow[];
  /** UEC only. */
  readonly counters?: UecCounters;
}

/**
 * A flow's end in htsim's output: `Flow Roce_3_0 1070 finished at 102383 total bytes 20000768` or
 * `Flow Uec_0_13 flowId 1000000001 uecSrc 0 finished at 176.2 total messages 1 total packets 490 RTS 0 total bytes 2002140 ...`.
 * The progress bar can stand before it on the same line. Undefined for any other line.
 */
export function htsimFlow(line: string): PeerFlow | undefined {
  const at = line.indexOf('Flow ');
  if (at < 0) return undefined;
  const words = line.slice(at).split(' ', 32);
  const name = /^(?:Roce|Uec)_(\d+)_(\d+)$/.exec(words[1] ?? '');
  const finished = words.indexOf('finished');
  const bytes = words.indexOf('bytes');
  if (!name || finished < 0 || bytes < 0 || words[finished + 1] !== 'at') return undefined;
  const flow = {
    source: Number(name[1]),
    target: Number(name[2]),
    bytes: Number(words[bytes + 1]),
    completionUs: Number(words[finished + 2]),
  };
  return Number.isFinite(flow.bytes) && Number.isFinite(flow.completionUs) ? flow : undefined;
}

/** The last line of a UEC run: `New: 490 Rtx: 0 RTS: 0 Bounced: 0 ACKs: 124 NACKs: 0 Pulls: 0 ...`; undefined for any other. */
export function uecCounters(line: string): UecCounters | undefined {
  const found = /New: (\d+) Rtx: (\d+) .*?\bACKs: (\d+) NACKs: (\d+)/.exec(line.slice(0, 400));
  if (!found) return undefined;
  const [newPackets, retransmissions, acknowledgements, negativeAcknowledgements] = found.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
  ];
  return { newPackets, retransmissions, acknowledgements, negativeAcknowledgements };
}

export interface HtsimOptions {
  readonly binary: string;
  /** Connection matrix (.cm) and topology (.topo). */
  readonly connections: string;
  readonly topology: string;
  readonly nodes: number;
  readonly deadlineMs: number;
  /** Simulated end; flows that are not over then are missing from the result. Default 10 s. */
  readonly endUs?: number;
  /** Further flags as the binary takes them. */
  readonly flags?: readonly string[];
}

export interface HtsimRoceOptions extends HtsimOptions {
  /** Of the sources: htsim does not take it from the topology. */
  readonly linkRateBps: number;
  /** Per ingress, in packets of 4096 B: paused above `off`, resumed below `on`. */
  readonly pfcPackets: { readonly off: number; readonly on: number };
}

/** Line-rate RoCE with PFC and per-flow ECMP, packets of 4096 + 64 B: what the comparison of the packet engines uses. */
export function runHtsimRoce(options: HtsimRoceOptions): Promise<PeerRun> {
  const { linkRateBps, pfcPackets, flags = [] } = options;
  return runHtsim({
    ...options,
    flags: [
      '-q 1000 -strat ecmp_host -paths 1 -mtu 4096 -queue_type lossless_input',
      `-linkspeed ${linkRateBps / 1e6} -pfc_thresholds ${pfcPackets.on} ${pfcPackets.off}`,
      ...flags,
    ].flatMap(text => text.split(' ')),
  });
}

/** Sender-based NSCC with the defaults of the binary (trimming, ECN, mixed load balancing over 64 paths). */
export function runHtsimUec(options: HtsimOptions): Promise<PeerRun> {
  return runHtsim({ ...options, flags: ['-sender_cc_only', ...(options.flags ?? [])] });
}

async function runHtsim({
  binary,
  connections,
  topology,
  nodes,
  deadlineMs,
  endUs = 1e7,
  flags = [],
}: HtsimOptions): Promise<PeerRun> {
  const flows: PeerFlow[] = [];
  let counters: UecCounters | undefined;
  return inScratchFolder(async folder => {
    const use = await measureChild({
      command: binary,
      args: ['-tm', path.resolve(connections), '-topo', path.resolve(topology), '-o', path.join(folder, 'log')].concat(
        ['-nodes', String(nodes), '-end', String(endUs)],
        flags,
      ),
      folder,
      deadlineMs,
      onLine(line) {
        const flow = htsimFlow(line);
        if (flow) flows.push(flow);
        else counters = uecCounters(line) ?? counters;
      },
    });
    return { ...use, flows, ...(counters && { counters }) };
  });
}

/** Keys of the configuration that name input files. */
export type HpccInput = 'TOPOLOGY_FILE' | 'FLOW_FILE';

export interface HpccOptions {
  readonly binary: string;
  /** Configuration file; the topology and flow files that it names are looked for in its folder. */
  readonly configuration: string;
  readonly deadlineMs: number;
  /** Keys of the configuration with other values, as text. */
  readonly set?: Readonly<Record<string, string>>;
  /** Text of the topology or flow file, instead of the file that the configuration names. */
  readonly files?: Readonly<Partial<Record<HpccInput, string>>>;
  /** Given to the binary as its second argument, where it takes a number of the random run. */
  readonly run?: number;
}

/** Runs the HPCC fork of ns-3 on one configuration. Its outputs (trace, pause and queue files) are thrown away, but for the FCTs. */
export async function runHpcc(options: HpccOptions): Promise<PeerRun> {
  const { binary, configuration, deadlineMs, set = {}, files = {}, run } = options;
  const home = path.dirname(path.resolve(configuration));
  const text = await readFile(configuration, 'utf8');
  return inScratchFolder(async folder => {
    const values: Record<string, string> = { ...set };
    for (const key of ['TOPOLOGY_FILE', 'FLOW_FILE'] as const) {
      const named = set[key] ?? new RegExp(`^${key}\\s+(\\S+)`, 'm').exec(text)?.[1];
      const given = files[key];
      if (given !== undefined) await writeFile(path.join(folder, key), given);
      else if (named) await copyFile(path.resolve(home, named), path.join(folder, key));
      else throw new Error(`${configuration} has no ${key}`);
      values[key] = key;
    }
    await writeFile(path.join(folder, 'traced'), '0\n');
    Object.assign(values, {
      TRACE_FILE: 'traced',
      TRACE_OUTPUT_FILE: 'trace',
      FCT_OUTPUT_FILE: 'fct',
      PFC_OUTPUT_FILE: 'pfc',
      QLEN_MON_FILE: 'qlen',
    });
    const kept = text.split('\n').filter(line => !((line.trim().split(/\s+/, 1)[0] ?? '') in values));
    const lines = [...kept, ...Object.entries(values).map(([key, value]) => `${key} ${value}`)];
    await writeFile(path.join(folder, 'configuration'), `${lines.join('\n')}\n`);
    const use = await measureChild({
      command: binary,
      args: ['configuration', ...(run === undefined ? [] : [String(run)])],
      folder,
      deadlineMs,
    });
    const flows = hpccFlows(await readFile(path.join(folder, 'fct'), 'utf8'));
    return { ...use, flows };
  });
}

/**
 * The fork's FCT file, a flow a line: source and target address (hexadecimal), two ports, bytes, start, completion time and the time
 * on an idle network, the last three in nanoseconds. Node n has the address 11.(n / 256).(n % 256).1.
 * Throws on a line of another form.
 */
export function hpccFlows(text: string): PeerFlow[] {
  const node = (address: string) => (Number.parseInt(address, 16) >>> 8) & 0xffff;
  return text
    .split('\n')
    .filter(line => line.trim() !== '')
    .map(line => {
      const words = line.trim().split(/\s+/, 9);
      const [source, target, , , bytes, , ns] = words;
      const flow = {
        source: node(source ?? ''),
        target: node(target ?? ''),
        bytes: Number(bytes),
        completionUs: Number(ns) / 1e3,
      };
      if (words.length < 7 || !Number.isFinite(flow.bytes) || !Number.isFinite(flow.completionUs))
        throw new Error(`not a line of an FCT file: ${JSON.stringify(line.slice(0, 200))}`);
      return flow;
    });
}

/** Least, mean and greatest completion time; throws when there are no flows. */
export function completionTimes(flows: readonly PeerFlow[]): {
  readonly minUs: number;
  readonly meanUs: number;
  readonly maxUs: number;
} {
  if (flows.length === 0) throw new Error('no flow has ended');
  let minUs = Number.POSITIVE_INFINITY;
  let maxUs = Number.NEGATIVE_INFINITY;
  let sumUs = 0;
  for (const { completionUs } of flows) {
    minUs = Math.min(minUs, completionUs);
    maxUs = Math.max(maxUs, completionUs);
    sumUs += completionUs;
  }
  return { minUs, meanUs: sumUs / flows.length, maxUs };
}

async function inScratchFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(path.join(tmpdir(), 'farspan-peer-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
