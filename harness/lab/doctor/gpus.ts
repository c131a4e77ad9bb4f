import {
  GPU_CSV_COMMAND,
  type GpuReading,
  type GpuState,
  parseGpuCsv,
  parseNvidiaSmiXml,
} from '../../drivers/gpu/nvidia-smi.ts';
import type { Finding } from './doctor-line.ts';
import { ask, type OpenDevice } from './open-device.ts';

/** What the hardware does to protect itself; a power cap in software is how many clusters run on purpose. */
const BY_HARDWARE: ReadonlySet<string> = new Set([
  'hw slowdown',
  'hw thermal slowdown',
  'hw power brake slowdown',
  'sw thermal slowdown',
]);

const XID_COMMAND = 'dmesg';
/** `NVRM: Xid (PCI:0000:01:00): 79, …` (nvidia kernel module). */
const XID = /NVRM: Xid \(PCI:([0-9A-Fa-f:.]{4,20})[^)]{0,40}\): (\d{1,4})/;

/** Of a log that could say anything: more than any node has GPUs, and more codes than anybody reads. */
const MOST_GPUS = 32;
const MOST_CODES = 10;

/** Clock reasons, ECC errors and persistence of every GPU, and Xids where the kernel's log can be read. */
export async function checkGpus(device: OpenDevice): Promise<readonly Finding[]> {
  const [states, { gpus, driver }] = await Promise.all([
    ask(device, GPU_CSV_COMMAND, parseGpuCsv),
    ask(device, 'nvidia-smi -q -x', parseNvidiaSmiXml),
  ]);
  const log = await device.opened.read(XID_COMMAND, { maxBytes: 4 * 2 ** 20 });
  return judgeGpus({ driver, states, gpus, log: log.exitCode === 0 ? log.stdout : undefined });
}

/** Pure. What a GPU does not tell is no finding, but its clock reasons must be told. */
export function judgeGpus({
  driver,
  states,
  gpus,
  log,
}: {
  readonly driver: string;
  readonly states: readonly GpuState[];
  readonly gpus: readonly Pick<GpuReading, 'id' | 'persistence' | 'uncorrectedErrors'>[];
  /** The kernel's log; undefined when it may not be read. */
  readonly log: string | undefined;
}): readonly Finding[] {
  const findings: Finding[] = [];
  for (const { index, reasons } of states) {
    if (reasons === null) findings.push(untold(index));
    const slowed = (reasons ?? []).map(({ name }) => name).filter(name => BY_HARDWARE.has(name));
    if (slowed.length > 0) findings.push(throttled(index, slowed));
  }
  for (const { id, persistence, uncorrectedErrors } of gpus) {
    if ((uncorrectedErrors ?? 0) > 0) findings.push(broken(id, uncorrectedErrors ?? 0));
    if (persistence === false) findings.push(sleepy(id));
  }
  for (const [gpu, codes] of xidsOf(log ?? '')) findings.push(xid(gpu, codes));
  if (findings.some(({ ok }) => ok !== true)) return findings;
  const count = `${states.length} ${states.length === 1 ? 'GPU' : 'GPUs'}`;
  return [{ check: 'gpu', ok: true, detail: `${count} at driver ${driver}, none throttled` }, ...findings];
}

function xidsOf(log: string): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const line of log.split('\n')) {
    const [, gpu, code] = XID.exec(line) ?? [];
    if (gpu === undefined || code === undefined) continue;
    if (found.size >= MOST_GPUS && !found.has(gpu)) break;
    const codes = found.get(gpu) ?? [];
    found.set(gpu, codes);
    if (!codes.includes(code) && codes.length < MOST_CODES) codes.push(code);
  }
  return found;
}

const untold = (index: number): Finding => ({
  check: 'gpu',
  ok: 'unknown',
  detail: `GPU ${index} does not tell whether it is throttled`,
  fix: 'Look by hand: nvidia-smi -q -d PERFORMANCE. Another driver may tell.',
});

const throttled = (index: number, reasons: readonly string[]): Finding => ({
  check: 'gpu',
  ok: false,
  detail: `GPU ${index} is slowed down: ${reasons.join(', ')}`,
  fix: 'Look at cooling and power of the node: nvidia-smi -q -d TEMPERATURE,POWER. Its collectives would be slow whatever the fabric does.',
});

const broken = (id: string, errors: number): Finding => ({
  check: 'gpu',
  ok: false,
  detail: `GPU ${id} has ${errors} uncorrected memory errors since its driver was loaded`,
  fix: `Reset it (nvidia-smi --gpu-reset -i ${id}); if they come back, replace it.`,
});

const sleepy = (id: string): Finding => ({
  check: 'gpu',
  ok: true,
  detail: `GPU ${id} has no persistence mode: its driver is loaded anew for each job, which takes seconds`,
  fix: 'Start nvidia-persistenced there.',
});

const xid = (gpu: string, codes: readonly string[]): Finding => ({
  check: 'gpu',
  ok: false,
  detail: `the kernel's log has Xid ${codes.join(', ')} of GPU ${gpu}`,
  fix: "Look the codes up in NVIDIA's list of Xid errors. After what it says was done, boot the node or clear the log.",
});
