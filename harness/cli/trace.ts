import { spawn } from 'node:child_process';
import path from 'node:path';
import { magnitude } from '../model/units.ts';
import { EXIT } from './exit-code.ts';
import { ROOT } from './playwright-run.ts';
import { UsageError } from './usage-error.ts';

export interface TraceCommand {
  /** Configuration of the HPCC-style ns-3 family; it names its topology and flow files. */
  readonly hpcc?: string;
  /** htsim connection matrix, with `topo`. */
  readonly htsim?: string;
  readonly topo?: string;
  readonly fct?: string;
  readonly compare?: string;
  /** Largest difference of the means, percent: `3%`. */
  readonly within?: string;
  readonly pcap: readonly string[];
  readonly delay: readonly string[];
  /** After the first flow's start: `30ms`. */
  readonly stop?: string;
  readonly seed: number;
  readonly seeds: number;
  readonly train: number;
  readonly mtu?: number;
  /** `LOW,HIGH` in packets, as htsim's -pfc_thresholds. */
  readonly pfc?: string;
}

/** A program, not an import: the simulator is named by path as in playwright.config.ts, and a long replay is a process of its own. */
const REPLAY = 'emulators/fabric-sim/traces/main.ts';

/**
 * Replays another simulator's files on ours. Exit codes: 0 done, 1 the means differ by more than `within`, 2 flows did not finish
 * by the files' own stop time, or `within` has flows that one side lacks,
 * 3 an error of the simulator, 5 files or options that can not be used, 7 an output that can not be written, 130 interrupted.
 *
 * @throws UsageError when the options contradict each other
 */
export async function trace({ within, stop, pfc, ...command }: TraceCommand): Promise<number> {
  const { hpcc, htsim, topo, compare, mtu } = command;
  if ((hpcc === undefined) === (htsim === undefined))
    throw new UsageError('name one workload: --hpcc CONFIG, or --htsim MATRIX --topo TOPOLOGY.');
  if (htsim !== undefined && topo === undefined) throw new UsageError('--htsim needs --topo FILE.');
  if (hpcc !== undefined && (topo ?? mtu ?? pfc) !== undefined)
    throw new UsageError('--topo, --mtu and --pfc are for --htsim; an HPCC configuration says them itself.');
  if (within !== undefined && compare === undefined) throw new UsageError('--within needs --compare FILE.');
  const job = {
    ...command,
    ...(within !== undefined && { within: shareOf(within) }),
    ...(stop !== undefined && { stopPs: durationOf(stop) }),
    ...(pfc !== undefined && { pfc: thresholdsOf(pfc) }),
  };
  const child = spawn(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), path.join(ROOT, REPLAY), JSON.stringify(job)],
    {
      // Files are named from where the user is, so the child runs there; tsx is found from here.
      stdio: 'inherit',
    },
  );
  // The terminal's Ctrl-C reaches the child by itself; here it must only not end us before the child has ended.
  const ignore = (): void => {};
  const forward = (): void => void child.kill('SIGTERM');
  process.on('SIGINT', ignore);
  process.on('SIGTERM', forward);
  try {
    const { status, signal } = await new Promise<{ status: number | null; signal: string | null }>(
      (resolve, reject) => {
        child.once('error', reject);
        child.once('close', (code, killer) => resolve({ status: code, signal: killer }));
      },
    );
    if (signal === 'SIGINT' || signal === 'SIGTERM') return EXIT.interrupted;
    return status ?? EXIT.error;
  } finally {
    process.off('SIGINT', ignore);
    process.off('SIGTERM', forward);
  }
}

function shareOf(text: string): number {
  const [, percent] = /^(\d{1,6}(?:\.\d{1,9})?) ?%$/.exec(text) ?? [];
  if (percent === undefined) throw new UsageError(`--within ${text}: write percent, such as 3%.`);
  return Number(percent) / 100;
}

/** `30ms` or `30 ms`, as ps. */
function durationOf(text: string): number {
  const [, count, unit] = /^(\d{1,12}(?:\.\d{1,9})?) ?(ns|us|ms|s)$/.exec(text) ?? [];
  const ps = count === undefined ? Number.NaN : Math.round(magnitude(`${Number(count)} ${unit as 'ms'}`) * 1000);
  if (!(ps > 0 && ps <= 7.2e15)) throw new UsageError(`--stop ${text}: write a time up to 7200s, such as 30ms.`);
  return ps;
}

function thresholdsOf(text: string): readonly [number, number] {
  const [, low, high] = /^(\d{1,9}),(\d{1,9})$/.exec(text) ?? [];
  if (low === undefined || high === undefined || Number(low) > Number(high) || Number(high) === 0)
    throw new UsageError(`--pfc ${text}: write LOW,HIGH in packets, such as 12,15.`);
  return [Number(low), Number(high)];
}
