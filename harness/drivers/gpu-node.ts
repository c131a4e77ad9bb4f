import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CollectiveJob, CollectiveRow, Host, ProbeJob, ProbeReceiver } from '../binding/host.ts';
import type { Load } from '../model/load.ts';
import { magnitude } from '../model/units.ts';
import type { DeviceGuard, DeviceJob } from './device-guard.ts';
import { deviceError, excerpt, label } from './device-text.ts';
import { gpuFingerprint, gpuPutBack } from './gpu/fingerprint.ts';
import { type Iperf3End, parseIperf3, probeCount } from './gpu/iperf3.ts';
import { parseNcclText, roundsOf } from './gpu/nccl-tests.ts';
import { parseEthtoolStatistics, parseRdmaStatistics } from './gpu/nic.ts';
import { GPU_CSV_COMMAND, parseGpuCsv, parseNvidiaSmiXml } from './gpu/nvidia-smi.ts';
import { parseTraceroute } from './gpu/traceroute.ts';
import {
  endProcess,
  gone,
  isRunning,
  safeAddress,
  safeInterface,
  safeFile,
  safeUdpPort,
  SIGNALS,
} from './linux/detached-job.ts';
import { ParseError, parsed } from './parse-error.ts';
import { output, type Shell, succeed } from './ssh.ts';

export interface GpuNodeOptions {
  readonly name: string;
  readonly shell: Shell;
  /** Every write goes through it; what it starts is armed there to be ended. */
  readonly guard: DeviceGuard;
  /** The NIC that carries the fabric's traffic. Default `eth0`. */
  readonly nic?: string;
  /** Its RDMA link, `device/port`. Default `mlx5_0/1`. */
  readonly rdmaLink?: string;
  /** The lossless priority. Default 3. */
  readonly priority?: number;
  /** A new path for the output of a job. Default: a random name in /tmp. */
  readonly newFile?: (kind: string) => string;
  /** How long a job may take to end after it was told to, wall time. Default 10 s. */
  readonly stopWithinMs?: number;
}

/** UDP payload of a probe packet, B. */
export const PROBE_PAYLOAD_BYTES = 128;

/**
 * The nccl-tests command of a load, without what detaches it. `-N 0`: cycles without end. `-n 1 -w 0`: each collective is timed by itself.
 * `gather_perf` counts the whole receive buffer as its size (`src/gather.cu`), so an incast of `bytes` per sender asks for `bytes` x ranks.
 *
 * @param ranks addresses, rank 0 first
 * @throws RangeError for a load that nccl-tests does not have
 */
export function collectiveCommand(load: Load, ranks: readonly string[]): string {
  const { tool, bytes } = toolOf(load, ranks.length);
  if (ranks.length < 2) throw new RangeError('A collective needs at least two ranks.');
  if (!Number.isSafeInteger(bytes) || bytes <= 0) throw new RangeError(`${bytes} B is no whole number of bytes.`);
  const queuePairs = 'queuePairs' in load ? (load.queuePairs ?? 1) : 1;
  const variables = [
    // NCCL would choose by size and topology; a plan that asks for the tree measures nothing if it gets the ring.
    ...(load.kind === 'all-reduce' && load.algorithm === 'tree' ? ['NCCL_ALGO=Tree'] : []),
    ...(queuePairs > 1 ? [`NCCL_IB_QPS_PER_CONNECTION=${queuePairs}`, 'NCCL_IB_SPLIT_DATA_ON_QPS=1'] : []),
  ];
  const environment = variables.map(variable => ` -x ${variable}`).join('');
  return `mpirun${environment} -np ${ranks.length} -H ${ranks.map(safeAddress).join(',')} ${tool} -b ${bytes} -e ${bytes} -g 1 -n 1 -w 0 -N 0 -c 1`;
}

function toolOf(load: Load, ranks: number): { readonly tool: string; readonly bytes: number } {
  switch (load.kind) {
    case 'all-reduce':
      if (load.algorithm === 'hierarchical')
        throw new RangeError('nccl-tests has no all-reduce that is hierarchical across sites.');
      return { tool: 'all_reduce_perf', bytes: magnitude(load.bytes) };
    case 'reduce-scatter':
      return { tool: 'reduce_scatter_perf', bytes: magnitude(load.bytes) };
    case 'all-gather':
      return { tool: 'all_gather_perf', bytes: magnitude(load.bytes) };
    case 'broadcast':
      return { tool: 'broadcast_perf', bytes: magnitude(load.bytes) };
    case 'all-to-all':
      return { tool: 'alltoall_perf', bytes: magnitude(load.bytes) };
    case 'incast':
      return { tool: 'gather_perf', bytes: magnitude(load.bytes) * ranks };
    case 'permutation':
      if (load.shift === 1) return { tool: 'sendrecv_perf', bytes: magnitude(load.bytes) };
      throw new RangeError(`nccl-tests has no program for a permutation with shift ${load.shift}.`);
    default:
      throw new RangeError(`nccl-tests has no program for ${load.kind}.`);
  }
}

/** The receiving end of a probe flow: iperf3 for one test (`-1`), JSON at its end. */
export function probeReceiverCommand(port: number): string {
  return `iperf3 -s -1 -p ${safeUdpPort(port)} -J`;
}

/** The sending end: endless UDP (`-t 0`); `-b` counts payload bits. */
export function probeSenderCommand(options: {
  readonly target: string;
  readonly targetPort: number;
  readonly sourcePort: number;
  readonly packetsPerSecond: number;
}): string {
  const { target, targetPort, sourcePort, packetsPerSecond } = options;
  if (!(packetsPerSecond > 0 && packetsPerSecond <= 10e6))
    throw new RangeError(`${packetsPerSecond} packets/s is no rate of a probe.`);
  const rateBps = Math.round(packetsPerSecond * PROBE_PAYLOAD_BYTES * 8);
  return `iperf3 -c ${safeAddress(target)} -p ${safeUdpPort(targetPort)} --cport ${safeUdpPort(sourcePort)} -u -b ${rateBps} -l ${PROBE_PAYLOAD_BYTES} -t 0 -J`;
}

/** What shows the hops of a UDP flow with these ports. `-U`: the target port stays the same for every hop. */
export function pathCommand(options: {
  readonly target: string;
  readonly sourcePort: number;
  readonly targetPort: number;
}): string {
  return `traceroute -n -U -q 1 -w 1 --sport=${safeUdpPort(options.sourcePort)} -p ${safeUdpPort(options.targetPort)} ${safeAddress(options.target)}`;
}

const FILES = String.raw`/tmp/farspan-[a-z]+(-[a-z]+)*-[0-9a-f]{16}`;

/** Everything that this driver may write. */
export const GPU_NODE_WRITES: readonly RegExp[] = [
  ...SIGNALS,
  new RegExp(`^rm -f ${FILES}$`),
  /^mpirun( -x [A-Z_]{1,40}=[A-Za-z0-9]{1,20}){0,4} -np \d{1,6} -H [0-9A-Za-z.:_,-]+ [a-z_]{1,30}_perf( -[a-zA-Z] \d{1,15}){0,12}$/,
  /^iperf3 -s -1 -p \d{1,5} -J$/,
  /^iperf3 -c [0-9A-Za-z.:_-]{1,253} -p \d{1,5} --cport \d{1,5} -u -b \d{1,15} -l \d{1,5} -t 0 -J$/,
];

const RDMA_LINK = /^[A-Za-z][A-Za-z0-9_]{0,30}\/\d{1,3}$/;

/** A GPU node as Farspan's bindings see it: nvidia-smi, ethtool, rdma, nccl-tests, iperf3 and traceroute over SSH. */
export function gpuNode(options: GpuNodeOptions): Host {
  const { name, shell, guard, priority = 3, stopWithinMs = 10_000 } = options;
  const nic = safeInterface(options.nic ?? 'eth0');
  const rdmaLink = options.rdmaLink ?? 'mlx5_0/1';
  if (!RDMA_LINK.test(rdmaLink)) throw new RangeError(`"${rdmaLink}" is no RDMA link such as mlx5_0/1.`);
  const newFile = options.newFile ?? ((kind: string) => `/tmp/farspan-${kind}-${randomBytes(8).toString('hex')}`);

  const ask = async <T>(command: string, parser: (text: string) => T): Promise<T> =>
    parsed({ device: name, tried: command }, parser, await output(shell, command));

  const facts: Host['facts'] = async () => {
    const [{ driver, gpus }, mac] = await Promise.all([
      ask('nvidia-smi -q -x', parseNvidiaSmiXml),
      ask(`cat /sys/class/net/${nic}/address`, text => {
        const found = text.trim().toLowerCase();
        if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(found)) throw new ParseError('a MAC address', text);
        return found;
      }),
    ]);
    const [gpu] = gpus;
    if (!gpu)
      throw deviceError({
        device: name,
        tried: 'nvidia-smi -q -x',
        answer: 'it lists no GPU',
        advice: 'Check that the driver is loaded: lspci | grep -i nvidia.',
      });
    return { model: label(gpu.name ?? ''), software: label(driver), serial: label(gpu.serial ?? ''), baseMac: mac };
  };

  const throttled: Host['throttled'] = async () => {
    const states = await ask(GPU_CSV_COMMAND, parseGpuCsv);
    const silent = states.find(({ reasons }) => reasons === null);
    if (silent) {
      throw deviceError({
        device: name,
        tried: GPU_CSV_COMMAND,
        answer: `GPU ${silent.index} (${silent.name}) does not tell its clock reasons`,
        advice: 'Whether it is throttled can not be known, and unknown is not "no".',
      });
    }
    return states.flatMap(({ index, reasons }) => {
      const why = (reasons ?? []).filter(({ throttles }) => throttles).map(({ name: reason }) => reason);
      return why.length === 0 ? [] : [`GPU ${index}: ${why.join(', ')}`];
    });
  };

  const counters: Host['counters'] = async () => {
    const [nicCounts, rdma] = await Promise.all([
      ask(`ethtool -S ${nic}`, parseEthtoolStatistics),
      shell
        .run(`rdma -j statistic show link ${rdmaLink}`)
        .then(result =>
          result.exitCode === 0 && !result.truncated
            ? parsed({ device: name, tried: 'rdma -j statistic' }, parseRdmaStatistics, result.stdout)
            : null,
        ),
    ]);
    const from = (counts: ReadonlyMap<string, bigint> | null, key: string, counter: string, scale = 1n) => {
      // The RDMA tool did not answer: the counters exist but could not be read.
      if (counts === null) return { [key]: null };
      const count = counts.get(counter);
      return count === undefined ? {} : { [key]: count * scale };
    };
    return {
      ...from(nicCounts, 'rxBytes', 'rx_bytes_phy'),
      ...from(nicCounts, 'txBytes', 'tx_bytes_phy'),
      ...from(nicCounts, 'rxPackets', 'rx_packets_phy'),
      ...from(nicCounts, 'txPackets', 'tx_packets_phy'),
      ...from(nicCounts, 'drops', 'rx_discards_phy'),
      // Pause counters exist only while PFC is enabled on the priority.
      ...from(nicCounts, 'pfcRx', `rx_prio${priority}_pause`),
      ...from(nicCounts, 'pfcTx', `tx_prio${priority}_pause`),
      ...from(nicCounts, 'pausedNs', `rx_prio${priority}_pause_duration`, 1000n),
      ...from(rdma, 'cnpSent', 'np_cnp_sent'),
      ...from(rdma, 'cnpHandled', 'rp_cnp_handled'),
      ...from(rdma, 'outOfSequence', 'out_of_sequence'),
      // mlx5 keeps it as a q-counter of 32 bits (kernel, drivers/infiniband/hw/mlx5/counters.c); those of congestion control have 64.
      narrow: ['outOfSequence'],
    };
  };

  const start = (program: string, file: string): Promise<DeviceJob> => guard.startJob(program, safeFile(file));

  /** Of a job that has ended: its armed undo takes away what is left of it, and itself. */
  const forget = ({ id }: DeviceJob): Promise<void> => guard.runUndo(id);

  const startCollective = async (
    load: Load,
    ranks: readonly string[],
  ): Promise<CollectiveJob & { failures(): readonly string[] }> => {
    const file = newFile('nccl');
    const job = await start(collectiveCommand(load, ranks), file);
    const { pid } = job;
    const rounds: CollectiveRow[] = [];
    const failures: string[] = [];
    let consumed = 0;
    let stopping: Promise<void> | undefined;
    /** Reads what was written since the last time, whole lines only: `tail -c +N` counts bytes from 1. */
    const poll = async (): Promise<void> => {
      const tried = `tail -c +${consumed + 1} ${file}`;
      const { stdout: text, wholeLineBytes } = await succeed(shell, tried);
      const whole = text.slice(0, text.lastIndexOf('\n') + 1);
      const { rows, failures: failed } = parsed({ device: name, tried }, parseNcclText, whole);
      rounds.push(...roundsOf(rows, rounds.length));
      failures.push(...failed);
      consumed += wholeLineBytes;
    };
    let polling: Promise<void> = Promise.resolve();
    const pollOnce = (): Promise<void> => {
      const next = polling.then(poll);
      // A failed poll must not block the next one; its error goes to who asked.
      polling = next.catch(() => {});
      return next;
    };
    return {
      pid,
      rows: async from => {
        if (stopping === undefined) await pollOnce();
        if (rounds.length === 0 && failures.length > 0) {
          throw deviceError({
            device: name,
            tried: collectiveCommand(load, ranks),
            answer: failures.join('\n'),
            advice: 'The job failed before its first round. Run it by hand with NCCL_DEBUG=INFO.',
          });
        }
        return rounds.slice(from);
      },
      /** Lines in which the tool, MPI or NCCL said that the job failed. */
      failures: () => failures,
      stop: () => {
        stopping ??= (async () => {
          await endProcess(shell, guard, { pid, signal: 'INT', withinMs: stopWithinMs });
          try {
            await pollOnce();
          } finally {
            await forget(job);
          }
        })();
        return stopping;
      },
    };
  };

  /** Reads an iperf3 file and refuses one that tells of a failure. */
  const readEnd = async (file: string, what: string): Promise<Iperf3End> => {
    const end = await ask(`cat ${file}`, parseIperf3);
    if (end.error !== undefined) {
      throw deviceError({
        device: name,
        tried: what,
        answer: end.error,
        advice: 'Run both ends by hand. A refused connection means that the receiver was not there yet, or is busy.',
      });
    }
    return end;
  };

  /** Waits until something listens there. Where `ss` is missing it can not be known; a sender that is too early fails and says so. */
  const listening = async (port: number): Promise<void> => {
    for (let attempt = 0; attempt < 20; attempt++) {
      const { exitCode, stdout } = await shell.run(`ss -Hltn sport = :${port}`);
      if (exitCode !== 0 || stdout.trim() !== '') return;
      await sleep(10 + 10 * attempt);
    }
  };

  const receiveProbe = async ({
    port,
  }: {
    readonly port: number;
  }): Promise<ProbeReceiver & { end(): Promise<Iperf3End> }> => {
    const file = newFile('probe-receiver');
    const command = probeReceiverCommand(port);
    const job = await start(command, file);
    const { pid } = job;
    await listening(port);
    let ended: Promise<Iperf3End> | undefined;
    let stopped: Promise<void> | undefined;
    const end = (): Promise<Iperf3End> => {
      ended ??= (async () => {
        if (!(await gone(shell, pid, stopWithinMs))) {
          throw deviceError({
            device: name,
            tried: command,
            answer: `the receiver did not hear the end of its flow within ${stopWithinMs} ms`,
            advice: 'iperf3 tells it over TCP: check that the hosts still reach each other.',
          });
        }
        return readEnd(file, command);
      })();
      return ended;
    };
    return {
      port,
      end,
      received: async () => {
        const server = await end();
        return parsed(
          { device: name, tried: command },
          () => probeCount({ ...server, packets: 0 }, server).received,
          '',
        );
      },
      stop: () => {
        stopped ??= (async () => {
          if (await isRunning(shell, pid))
            await endProcess(shell, guard, { pid, signal: 'INT', withinMs: stopWithinMs });
          await ended?.catch(() => {});
          await forget(job);
        })();
        return stopped;
      },
    };
  };

  const startProbe: Host['startProbe'] = async ({
    target,
    sourcePort,
    packetsPerSecond,
    receiver,
  }): Promise<ProbeJob> => {
    const file = newFile('probe-sender');
    const command = probeSenderCommand({ target, targetPort: receiver.port, sourcePort, packetsPerSecond });
    let job = await start(command, file);
    // A real receiver listens some milliseconds after its process id is known; a client that came too early has ended by now.
    for (let attempt = 0; attempt < 5 && !(await isRunning(shell, job.pid)); attempt++) {
      const early = excerpt(await output(shell, `cat ${file}`), 1500);
      if (!/Connection refused|unable to connect/.test(early) || attempt === 4) {
        await forget(job);
        throw deviceError({
          device: name,
          tried: command,
          answer: early,
          advice: 'The probe ended at once. Run both ends by hand.',
        });
      }
      await sleep(50 * 2 ** attempt);
      await forget(job);
      job = await start(command, file);
    }
    let stopping: ReturnType<ProbeJob['stop']> | undefined;
    return {
      stop: () => {
        stopping ??= (async () => {
          await endProcess(shell, guard, { pid: job.pid, signal: 'INT', withinMs: stopWithinMs });
          try {
            const { packets } = await readEnd(file, command);
            if (packets === undefined)
              throw deviceError({
                device: name,
                tried: command,
                answer: 'no count of packets',
                advice: 'The probe never ran. Run both ends by hand.',
              });
            return { sent: packets, received: await receiver.received() };
          } finally {
            await receiver.stop();
            await forget(job);
          }
        })();
        return stopping;
      },
    };
  };

  return {
    name,
    facts,
    fingerprint: () => gpuFingerprint({ shell, guard, nic }),
    putBack: gpuPutBack,
    throttled,
    counters,
    startCollective,
    receiveProbe,
    startProbe,
    path: where => ask(pathCommand(where), parseTraceroute),
    close: () => shell.close(),
  };
}
