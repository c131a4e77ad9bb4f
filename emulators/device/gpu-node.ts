import { createHash } from 'node:crypto';
import type { Load } from '../../harness/model/load.ts';
import type { FabricSim, SimJob } from '../fabric-sim/index.ts';
import { iperf3Failure, iperf3Json } from './iperf3-text.ts';
import type { LabShape } from './lab-shape.ts';
import { type LinuxBox, linuxBox, type Surroundings } from './linux-box.ts';
import { linuxNetwork } from './linux-network.ts';
import type { Running } from './linux-process.ts';
import { NCCL_TOOLS, type NcclJobText, ncclHeader, ncclRow, type NcclTool } from './nccl-text.ts';
import { nodeSettings } from './node-settings.ts';
import { fail, type Invocation, type Program, type ShellResult, succeed } from './small-shell.ts';

const GPU = 'NVIDIA H200';
const DRIVER = '580.65.06';
const BUS = '00000000:01:00.0';
/** UDP payload of one iperf3 datagram is what `-l` says; the simulator's probes carry 128 B. */
const PROBE_BYTES = 128;

export interface GpuNode {
  readonly box: LinuxBox;
  /** The collective that runs under this process id. */
  job(pid: number): SimJob | undefined;
}

export interface GpuNodesOptions extends Surroundings {
  readonly sim: FabricSim;
  readonly shape: LabShape;
  /** How long `reboot` takes in data-plane time, ps. */
  readonly bootPs: number;
  /** Programs that are not installed on a node. */
  readonly without?: (node: string) => ReadonlySet<string>;
  /** Told when a node goes down and when it is up again. */
  readonly onPower?: (node: string, power: 'off' | 'on') => void;
  /** Told of every probe flow, for the truth of the clock service. */
  readonly onProbe?: (probe: StartedProbe) => void;
}

export interface StartedProbe {
  readonly source: string;
  readonly target: string;
  readonly sourcePort: number;
  readonly packetsPerSecond: number;
  readonly beginPs: number;
  sent(): number;
  received(): number;
  endPs(): number | undefined;
}

interface Iperf3Server {
  /** Who is being served. */
  client: { end(error: string): void } | undefined;
  end(error: string): void;
  serve(
    test: {
      source: string;
      sourcePort: number;
      rateBps: number;
      blockBytes: number;
      beginPs: number;
      packets(): number;
      lost(): number;
    },
    client: { end(error: string): void },
  ): void;
}

const SUFFIX: Readonly<Record<string, number>> = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3 };
const DECIMAL: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9 };

function scaled(
  text: string | undefined,
  factors: Readonly<Record<string, number>>,
  fold: (unit: string) => string,
): number {
  const match = /^(\d+(?:\.\d+)?)([kKmMgG]?)$/.exec(text ?? '');
  return match ? Number(match[1]) * (factors[fold(match[2] as string)] as number) : Number.NaN;
}

/** `-np 4 -H …` into a map; a flag that is in `bare` has no value. */
function flags(
  words: readonly string[],
  bare: ReadonlySet<string> = new Set(),
): { readonly values: ReadonlyMap<string, string>; readonly rest: readonly string[] } {
  const values = new Map<string, string>();
  let i = 0;
  for (; i < words.length && (words[i] as string).startsWith('-'); i++) {
    const word = words[i] as string;
    const equals = word.indexOf('=');
    if (word.startsWith('--') && equals > 0) values.set(word.slice(0, equals), word.slice(equals + 1));
    else if (bare.has(word)) values.set(word, '');
    else values.set(word, words[++i] ?? '');
  }
  return { values, rest: words.slice(i) };
}

/** All GPU nodes of a lab: they know each other, as iperf3 clients find their servers. */
export function gpuNodes(options: GpuNodesOptions): ReadonlyMap<string, GpuNode> {
  const servers = new Map<string, Iperf3Server>();
  return new Map(options.shape.topology.hosts.map(({ name }) => [name, gpuNode(name, options, servers)]));
}

function gpuNode(name: string, options: GpuNodesOptions, servers: Map<string, Iperf3Server>): GpuNode {
  const { sim, shape, onProbe } = options;
  const jobs = new Map<number, SimJob>();
  const identity = shape.identity(name);
  const { hosts } = shape.topology;
  const digest = createHash('sha256').update(identity.serial).digest('hex');
  const uuid = `GPU-${digest.slice(0, 8)}-${digest.slice(8, 12)}-${digest.slice(12, 16)}-${digest.slice(16, 20)}-${digest.slice(20, 32)}`;
  const nic = shape.ports(name)[0];
  if (!nic) throw new RangeError(`${name} has no cable.`);

  const network = linuxNetwork([
    {
      name: 'eth0',
      mac: identity.baseMac,
      mtu: 9000,
      up: () => true,
      carrier: () =>
        sim.isUp(nic.far.node) && (sim.ports(nic.far.node).find(port => port.name === nic.far.port)?.operUp ?? false),
    },
  ]);
  const settings = nodeSettings({ bus: BUS, files: () => box.files });

  /** What a program prints while it goes on is made when its file is read. */
  const prints = ({ output }: Invocation, text: () => string): void => {
    if (output !== undefined) box.files.write(output, text);
  };

  const mpirun: Program = invocation => {
    if (!invocation.background)
      return fail(
        1,
        'mpirun: runs until it is stopped; start it in the background, as nothing moves time while a command is waited for',
      );
    const outer = flags(invocation.argv.slice(1), new Set(['--allow-run-as-root', '--oversubscribe']));
    const [program = '', ...words] = outer.rest;
    const tool = program.slice(program.lastIndexOf('/') + 1) as NcclTool;
    const inner = flags(words);
    const refusal = (text: string): ShellResult => ({ stdout: `${text}\n`, stderr: '', code: 1 });
    if (!Object.hasOwn(NCCL_TOOLS, tool))
      return refusal(`mpirun was unable to find the specified executable file: ${program.slice(0, 200)}`);
    const ranks = (outer.values.get('-H') ?? '').split(',').map(entry => shape.hostAt(entry.replace(/:\d+$/, '')));
    const wanted = scaled(inner.values.get('-b'), SUFFIX, unit => unit.toUpperCase());
    if (Number(outer.values.get('-np')) !== ranks.length)
      return refusal(
        `There are not enough slots available in the system to satisfy the ${outer.values.get('-np')} slots that were requested.`,
      );
    // Parts are whole 16 B: `(count/nranks) & -(16/eltSize)` of src/reduce_scatter.cu and src/all_gather.cu.
    const grain = tool === 'reduce_scatter_perf' || tool === 'all_gather_perf' ? 16 * ranks.length : 1;
    const bytes = Math.floor(wanted / grain) * grain;
    if (!Number.isInteger(bytes) || bytes <= 0) return refusal(`invalid size specified for 'minbytes'`);
    const strange = ranks.findIndex((rank, i) => rank === undefined || rank !== hosts[i]?.name);
    const whole = tool === 'gather_perf' ? ranks.length >= 2 : ranks.length === hosts.length;
    if (strange >= 0 || !whole || ranks[0] !== name) {
      return refusal(
        `${name}: Test NCCL failure: this emulated lab plays jobs on its hosts in order, from rank 0 here; ${strange >= 0 ? `rank ${strange} is not ${hosts[strange]?.name ?? 'a host'}` : `${ranks.length} ranks were given`}`,
      );
    }
    const asked = environment(invocation.argv, 'NCCL_ALGO') ?? '';
    const algorithm = /hierarchical|collnet|nvls/i.test(asked) ? 'hierarchical' : /tree/i.test(asked) ? 'tree' : 'ring';
    const split = environment(invocation.argv, 'NCCL_IB_SPLIT_DATA_ON_QPS') === '1';
    const queuePairs = split ? Number(environment(invocation.argv, 'NCCL_IB_QPS_PER_CONNECTION') ?? 1) : 1;
    const parts = PARTED.has(tool) ? ranks.length : 1;
    const load = loadOf(tool, { bytes, ranks: ranks.length, algorithm, queuePairs });
    const refused = sim.refuses(load);
    if (refused !== undefined) return refusal(`${name}: Test NCCL failure: ${refused}`);
    const job = sim.startJob(load);
    let running = true;
    const { pid } = invocation.process;
    jobs.set(pid, job);
    const text: NcclJobText = {
      tool,
      bytes,
      elements: Math.floor(bytes / 4 / parts),
      ranks: (ranks as string[]).map((host, i) => ({ host, pid: pid + 1 + i })),
      gpu: GPU,
      checked: inner.values.get('-c') !== '0',
    };
    let printed = ncclHeader(text);
    let rows = 0;
    prints(invocation, () => {
      for (; job.rounds.length >= 2 * rows + 2; rows++) {
        const [first, second] = job.rounds.slice(2 * rows, 2 * rows + 2);
        if (!first || !second) break;
        printed += ncclRow(text, [first, second]);
      }
      return printed;
    });
    return {
      running: () => running,
      signal() {
        running = false;
        job.stop();
      },
    };
  };

  const iperf3: Program = invocation => {
    const { values } = flags(invocation.argv.slice(1), new Set(['-s', '-1', '-J', '-u']));
    const port = Number(values.get('-p') ?? 5201);
    if (!invocation.background || !values.has('-J'))
      return fail(
        1,
        'iperf3: this device runs it in the background with -J only, as nothing moves time while a command is waited for',
      );
    return values.has('-s') ? iperf3Server(invocation, port) : iperf3Client(invocation, port, values);
  };

  const ended = (text: string): ShellResult => ({ stdout: text, stderr: '', code: 1 });

  const iperf3Server = (invocation: Invocation, port: number): ShellResult | Running => {
    const key = `${name}:${port}`;
    if (servers.has(key))
      return ended(iperf3Failure('error - unable to start listener for connections: Address already in use'));
    let running = true;
    let output: (() => string) | undefined;
    let test: Parameters<Iperf3Server['serve']>[0] | undefined;
    const server: Iperf3Server = {
      client: undefined,
      serve(started, client) {
        test = started;
        server.client = client;
      },
      end(error) {
        if (!running) return;
        running = false;
        servers.delete(key);
        const seconds = test ? (sim.nowPs - test.beginPs) / 1e12 : 0;
        const finished = test;
        let written: string | undefined;
        // The end of the test crosses the fabric behind the last datagram, so what is in flight counts by what becomes of it
        // until the file is first read.
        output = () => {
          written ??= finished
            ? iperf3Json({
                role: 'server',
                local: { host: shape.address(name), port },
                remote: { host: shape.address(finished.source), port: finished.sourcePort },
                blockBytes: finished.blockBytes,
                rateBps: finished.rateBps,
                seconds,
                packets: finished.packets(),
                lost: finished.lost(),
                error,
              })
            : iperf3Failure(error);
          return written;
        };
      },
    };
    servers.set(key, server);
    prints(invocation, () => output?.() ?? '');
    return {
      running: () => running,
      signal() {
        const { client } = server;
        server.end('interrupt - the server has terminated');
        client?.end('the server has terminated');
      },
    };
  };

  const iperf3Client = (
    invocation: Invocation,
    port: number,
    values: ReadonlyMap<string, string>,
  ): ShellResult | Running => {
    const target = shape.hostAt(values.get('-c') ?? '');
    const rateBps = scaled(values.get('-b'), DECIMAL, unit => unit.toLowerCase());
    const blockBytes = Number(values.get('-l') ?? 1460);
    const sourcePort = Number(values.get('--cport') ?? 0);
    const server = target === undefined ? undefined : servers.get(`${target}:${port}`);
    if (target === undefined || !server)
      return ended(iperf3Failure('error - unable to connect to server: Connection refused'));
    if (server.client) return ended(iperf3Failure('error - the server is busy running a test. try again later'));
    if (!values.has('-u') || !(rateBps > 0) || blockBytes !== PROBE_BYTES || !(sourcePort > 0 && sourcePort < 65_536)) {
      return ended(
        iperf3Failure(
          `error - this device sends UDP (-u) of ${PROBE_BYTES} bytes (-l) at a rate (-b) from a port (--cport)`,
        ),
      );
    }
    const packetsPerSecond = rateBps / (8 * blockBytes);
    const beginPs = sim.nowPs;
    const stream = sim.startProbe({ source: name, target, sourcePort, packetsPerSecond });
    let endPs: number | undefined;
    let output = '';
    const client = {
      end(error: string): void {
        if (endPs !== undefined) return;
        endPs = sim.nowPs;
        stream.stop();
        output = iperf3Json({
          role: 'client',
          local: { host: shape.address(name), port: sourcePort },
          remote: { host: shape.address(target), port },
          blockBytes,
          rateBps,
          seconds: (endPs - beginPs) / 1e12,
          packets: stream.sent(),
          lost: 0,
          error,
        });
      },
    };
    server.serve(
      {
        source: name,
        sourcePort,
        rateBps,
        blockBytes,
        beginPs,
        packets: () => stream.sent(),
        lost: () =>
          Math.max(
            0,
            stream.sent() -
              stream.received() -
              inFlight({ target, sourcePort, packetsPerSecond, endPs: endPs ?? sim.nowPs }),
          ),
      },
      client,
    );
    onProbe?.({
      source: name,
      target,
      sourcePort,
      packetsPerSecond,
      beginPs,
      sent: () => stream.sent(),
      received: () => stream.received(),
      endPs: () => endPs,
    });
    prints(invocation, () => output);
    return {
      running: () => endPs === undefined,
      signal() {
        client.end('interrupt - the client has terminated');
        server.end('the client has terminated');
      },
    };
  };

  /** Nodes that a datagram reaches with today's tables, each with its one-way delay, ps. */
  const reaches = (
    target: string,
    sourcePort: number,
  ): readonly { readonly node: string; readonly delayPs: number }[] => {
    const { hops } = sim.path(name, target, sourcePort);
    let delayPs = 0;
    const reached: { node: string; delayPs: number }[] = [];
    // `path` names the port by which each node is left: the next node is that port's far end.
    for (const { node, port } of hops[0]?.node === name ? hops : [{ node: name, port: nic.port }, ...hops]) {
      const cable = shape.ports(node).find(candidate => candidate.port === port);
      if (!cable) break;
      delayPs += cable.delayPs ?? spanDelay(cable.span, node, port);
      reached.push({ node: cable.far.node, delayPs });
    }
    return reached;
  };

  /** Datagrams that left less than the one-way delay ago and so have not arrived; none when today's path ends before the target. */
  const inFlight = (flow: {
    readonly target: string;
    readonly sourcePort: number;
    readonly packetsPerSecond: number;
    readonly endPs: number;
  }): number => {
    const last = reaches(flow.target, flow.sourcePort).at(-1);
    if (last?.node !== flow.target) return 0;
    const sincePs = sim.nowPs - flow.endPs;
    return Math.max(0, Math.ceil(((last.delayPs - sincePs) / 1e12) * flow.packetsPerSecond));
  };

  const traceroute: Program = ({ argv }) => {
    const { values, rest } = flags(argv.slice(1), new Set(['-n', '-U']));
    const target = shape.hostAt(rest[0] ?? '');
    const sourcePort = Number(values.get('--sport'));
    if (target === undefined)
      return fail(
        2,
        `${rest[0] ?? ''}: Name or service not known\nCannot handle "host" cmdline arg \`${rest[0] ?? ''}' on position 1 (argc ${argv.length - 1})`,
      );
    if (!(sourcePort > 0 && sourcePort < 65_536)) return fail(2, 'traceroute: --sport=PORT is needed on this device');
    const lines = [`traceroute to ${rest[0]} (${rest[0]}), 30 hops max, 60 byte packets`];
    const reached = reaches(target, sourcePort);
    for (const [i, { node, delayPs }] of reached.entries()) {
      lines.push(`${String(i + 1).padStart(2)}  ${shape.address(node)}  ${((2 * delayPs) / 1e9).toFixed(3)} ms`);
    }
    if (reached.at(-1)?.node !== target)
      for (let hop = reached.length + 1; hop <= 30; hop++) lines.push(`${String(hop).padStart(2)}  *`);
    return succeed(`${lines.join('\n')}\n`);
  };
  const spanDelay = (spanName: string | undefined, node: string, port: string): number => {
    const span = Object.values(shape.topology.spans).find(({ name }) => name === spanName);
    if (!span) return 0;
    return sim.span(span.name, span.ends[0].node === node && span.ends[0].port === port ? 'a-to-b' : 'b-to-a').delayPs;
  };

  const busy = (): boolean => [...jobs.keys()].some(pid => box.processes.get(pid)?.running());
  const nvidiaSmi: Program = ({ argv }) => {
    const set = settings.nvidiaSmi(argv.slice(1));
    if (set) return set;
    if (argv[1] === '-q' && argv[2] === '-x')
      return succeed(nvidiaXml({ uuid, serial: identity.serial, idle: !busy() }));
    const query = /^--query-gpu=(.+)$/.exec(argv[1] ?? '')?.[1];
    if (query === undefined)
      return fail(6, "Invalid combination of input arguments. Please run 'nvidia-smi -h' for help.");
    const format = (/^--format=(.+)$/.exec(argv[2] ?? '')?.[1] ?? '').split(',');
    // No power, thermal or clock model: those fields are not available, which is not zero.
    const fields: Readonly<Record<string, string>> = {
      index: '0',
      uuid,
      name: GPU,
      serial: identity.serial,
      driver_version: DRIVER,
      'clocks_event_reasons.active': busy() ? '0x0000000000000000' : '0x0000000000000001',
      'power.draw': '[N/A]',
      'temperature.gpu': '[N/A]',
      'clocks.current.sm': '[N/A]',
      ...settings.gpuFields(),
    };
    const asked = query.split(',').map(field => field.trim());
    const unknown = asked.find(field => !Object.hasOwn(fields, field));
    if (unknown !== undefined) return fail(2, `Field "${unknown}" is not a valid field to query.`);
    return succeed(
      `${format.includes('noheader') ? '' : `${asked.join(', ')}\n`}${asked.map(field => fields[field]).join(', ')}\n`,
    );
  };

  const ethtool: Program = ({ argv }) => {
    const set = settings.ethtool(argv.slice(1));
    if (set) return set;
    if (argv[1] !== '-S' || argv[2] !== 'eth0')
      return fail(
        argv[1] === '-S' ? 1 : 1,
        argv[1] === '-S'
          ? 'netlink error: no device matches name (offset 24)\nnetlink error: No such device'
          : 'ethtool: bad command line argument(s)\nFor more information run ethtool -h',
      );
    const count = sim.count(name, nic.port);
    const values = {
      rx_packets_phy: count.rxPackets,
      tx_packets_phy: count.txPackets,
      rx_bytes_phy: count.rxBytes,
      tx_bytes_phy: count.txBytes,
      rx_discards_phy: count.drops,
      rx_prio3_pause: count.pfcRx,
      rx_prio3_pause_duration: Math.floor(count.pausedPs / 1e6),
      tx_prio3_pause: count.pfcTx,
    };
    return succeed(
      `NIC statistics:\n${Object.entries(values)
        .map(([key, value]) => `     ${key}: ${value}\n`)
        .join('')}`,
    );
  };

  const rdma: Program = ({ argv }) => {
    if (argv.slice(1).join(' ') !== '-j statistic show link mlx5_0/1') return fail(255, 'error: No such device');
    const nicCount = sim.nic(name);
    // Queue counters are 32 bits wide and wrap, congestion counters 64 (mlx5 counters.c).
    const q = (value: number): number => value % 2 ** 32;
    return succeed(
      `${JSON.stringify([
        {
          ifname: 'mlx5_0',
          port: 1,
          out_of_sequence: q(nicCount.outOfSequence),
          local_ack_timeout_err: q(nicCount.timeouts),
          rp_cnp_handled: nicCount.cnpHandled,
          np_cnp_sent: nicCount.cnpSent,
        },
      ])}\n`,
    );
  };

  const reboot: Program = () => {
    box.reboot();
    network.reset();
    settings.reset();
    options.onPower?.(name, 'off');
    sim.at(sim.nowPs + options.bootPs, () => options.onPower?.(name, 'on'));
    return { stdout: '', stderr: '', code: 0, hangUp: true };
  };

  const box = linuxBox({
    ...options,
    name,
    systemd: true,
    without: options.without?.(name) ?? new Set(),
    system: {
      '/sys/class/net/eth0/address': () => `${identity.baseMac}\n`,
      '/sys/class/net/eth0/mtu': () => `${network.mtu('eth0')}\n`,
    },
    programs: () => ({
      ...network.programs,
      mlnx_qos: ({ argv }) => settings.mlnxQos(argv.slice(1)),
      'nvidia-smi': nvidiaSmi,
      ethtool,
      rdma,
      mpirun,
      iperf3,
      traceroute,
      reboot,
    }),
  });
  settings.reset();
  return { box, job: pid => jobs.get(pid) };
}

/** Tools whose `count` column is one rank's part of the size. */
const PARTED: ReadonlySet<NcclTool> = new Set([
  'gather_perf',
  'alltoall_perf',
  'reduce_scatter_perf',
  'all_gather_perf',
]);

/** The load that a tool's run is. */
function loadOf(
  tool: NcclTool,
  job: {
    readonly bytes: number;
    readonly ranks: number;
    readonly algorithm: Extract<Load, { kind: 'all-reduce' }>['algorithm'];
    readonly queuePairs: number;
  },
): Load {
  const { ranks, algorithm, queuePairs } = job;
  const bytes = `${job.bytes} B` as const;
  switch (tool) {
    case 'all_reduce_perf':
      return { kind: 'all-reduce', bytes, algorithm, queuePairs };
    case 'reduce_scatter_perf':
      return { kind: 'reduce-scatter', bytes, queuePairs };
    case 'all_gather_perf':
      return { kind: 'all-gather', bytes, queuePairs };
    case 'broadcast_perf':
      return { kind: 'broadcast', bytes, queuePairs };
    case 'alltoall_perf':
      return { kind: 'all-to-all', bytes };
    case 'gather_perf':
      return { kind: 'incast', bytes: `${Math.floor(job.bytes / ranks)} B`, senders: ranks - 1 };
    case 'sendrecv_perf':
      return { kind: 'permutation', bytes, shift: 1 };
  }
}

/** The value of `-x NAME=VALUE` of mpirun. */
function environment(argv: readonly string[], name: string): string | undefined {
  const at = argv.findIndex((word, i) => word === '-x' && argv[i + 1]?.startsWith(`${name}=`));
  return at < 0 ? undefined : argv[at + 1]?.slice(name.length + 1);
}

/** The parts of `nvidia-smi -q -x` that hold identity; the look of the real document (DTD v12). */
function nvidiaXml({
  uuid,
  serial,
  idle,
}: {
  readonly uuid: string;
  readonly serial: string;
  readonly idle: boolean;
}): string {
  const active = (on: boolean): string => (on ? 'Active' : 'Not Active');
  return `<?xml version="1.0" ?>
<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">
<nvidia_smi_log>
	<driver_version>${DRIVER}</driver_version>
	<cuda_version>13.0</cuda_version>
	<attached_gpus>1</attached_gpus>
	<gpu id="${BUS}">
		<product_name>${GPU}</product_name>
		<product_brand>NVIDIA</product_brand>
		<product_architecture>Hopper</product_architecture>
		<serial>${serial}</serial>
		<uuid>${uuid}</uuid>
		<minor_number>0</minor_number>
		<clocks_event_reasons>
			<clocks_event_reason_gpu_idle>${active(idle)}</clocks_event_reason_gpu_idle>
			<clocks_event_reason_sw_power_cap>Not Active</clocks_event_reason_sw_power_cap>
			<clocks_event_reason_hw_slowdown>Not Active</clocks_event_reason_hw_slowdown>
		</clocks_event_reasons>
		<temperature>
			<gpu_temp>N/A</gpu_temp>
		</temperature>
		<gpu_power_readings>
			<power_draw>N/A</power_draw>
		</gpu_power_readings>
	</gpu>
</nvidia_smi_log>
`;
}
