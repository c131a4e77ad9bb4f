import path from 'node:path';
import pLimit from 'p-limit';
import { TestbedUnavailable } from '../binding/binding.ts';
import type { connectDevice, ConnectOptions } from './connect.ts';
import { secretsOf } from './credentials.ts';
import type { DoctorLine, Finding } from './doctor/doctor-line.ts';
import { DOCTOR_CHECKS, told } from './doctor/doctor-line.ts';
import { type Examination, examineDevice } from './doctor/examine-device.ts';
import { checkRunner, type freeBytes, LEAST_FREE_BYTES } from './doctor/free-space.ts';
import { checkJournals } from './doctor/journals.ts';
import { quarantineFinding } from './doctor/quarantine.ts';
import { checkVersions } from './doctor/versions.ts';
import type { DeviceHealth, HealthStore } from './health.ts';
import { deviceKey, type Inventory, type InventoryDevice } from './inventory.ts';
import type { ReadJournal } from './journal.ts';
import { loadInventory } from './load-inventory.ts';
import { type LabClock, virtualClock, wallClock } from './lab-clock.ts';
import type { LeaseStore } from './lease-store.ts';

/** One device of a report, for the board: its lines are those of its name. */
export interface DoctorDevice extends Examination {
  readonly device: string;
  readonly part: string;
  /** As the lines have it: false when anything is wrong, else unknown when anything is. */
  readonly ok: boolean | 'unknown';
  /** Absent without a store. */
  readonly health?: DeviceHealth;
}

export interface DoctorReport {
  readonly lab: string;
  readonly devices: readonly DoctorDevice[];
  readonly lines: readonly DoctorLine[];
  readonly tookMs: number;
  /** 0 when all is well, 3 when something in the lab is not (design section 6). */
  readonly exitCode: 0 | 3;
}

export interface DoctorOptions {
  readonly env?: ConnectOptions['env'];
  /** Each check has this long. Default 10 s. */
  readonly deadlineMs?: number;
  /** How long each agent's refresh is waited for. Default 25 s; where time is virtual nothing moves and it is not measured. */
  readonly refreshWithinMs?: number;
  /** Everything ends after this. Default 120 s. */
  readonly withinMs?: number;
  /** Told each line as soon as it is known. */
  readonly line?: (line: DoctorLine) => void;
  /** Only these devices; default all. */
  readonly only?: readonly string[];
  readonly store?: Pick<LeaseStore, 'list' | 'knows'>;
  readonly health?: HealthStore;
  /** Of this lab, of runs that are gone. */
  readonly journals?: readonly ReadJournal[];
  /** Where this machine keeps what: `{ leases: '/var/…' }`. */
  readonly folders?: Readonly<Record<string, string>>;
  /** Free bytes that the runner, and each device, must have. Default 1 GiB. */
  readonly leastFreeBytes?: { readonly runner: number; readonly device: number };
  readonly free?: typeof freeBytes;
  readonly connect?: typeof connectDevice;
}

const DEADLINE_MS = 10_000;
const REFRESH_MS = 25_000;
const WITHIN_MS = 120_000;
/** Sessions at the same time: the memory of a small runner, and its login rate at a directory server. */
const DEVICES_AT_ONCE = 64;

/** What is about the lab first, then device by device as the inventory has them, whoever answered first. */
function ordered(lines: readonly DoctorLine[], devices: readonly string[]): readonly DoctorLine[] {
  const place = ({ subject, check }: DoctorLine): number =>
    (devices.indexOf(subject) + 1) * DOCTOR_CHECKS.length + DOCTOR_CHECKS.indexOf(check);
  return lines.toSorted((a, b) => place(a) - place(b));
}

const severity = (lines: readonly Pick<DoctorLine, 'ok'>[]): DoctorLine['ok'] =>
  lines.some(({ ok }) => ok === false) ? false : lines.some(({ ok }) => ok === 'unknown') ? 'unknown' : true;

/**
 * Looks at everything a run would need, at all devices at once, writes to none of them, and says what to do about what is wrong. What it
 * finds of a device becomes its health: a pass makes good, a failure suspect; a quarantine stays.
 */
export async function doctor(inventoryFile: string, options: DoctorOptions = {}): Promise<DoctorReport> {
  const begunMs = performance.now();
  const lines: DoctorLine[] = [];
  const say = (line: DoctorLine): void => {
    lines.push(line);
    options.line?.(line);
  };
  const devices: DoctorDevice[] = [];
  const report = (lab: string): DoctorReport => ({
    lab,
    devices,
    lines: ordered(
      lines,
      devices.map(({ device }) => device),
    ),
    tookMs: performance.now() - begunMs,
    exitCode: severity(lines) === true ? 0 : 3,
  });

  let inventory: Inventory;
  try {
    inventory = await loadInventory(inventoryFile);
  } catch (error) {
    if (!(error instanceof TestbedUnavailable)) throw error;
    const fix = 'Correct the file at the lines named.';
    say({ subject: 'inventory', check: 'inventory', ok: false, detail: error.message, fix });
    return report(inventoryFile);
  }
  say({ subject: 'inventory', check: 'inventory', ok: true, detail: inventoryWords(inventory) });
  const clock = await checkClock(inventory, { deadlineMs: options.deadlineMs ?? DEADLINE_MS, say });
  checkThisMachine(inventory, { ...options, say });

  const limit = pLimit(DEVICES_AT_ONCE);
  const chosen = Object.entries(inventory.devices).filter(
    ([name]) => options.only === undefined || options.only.includes(name),
  );
  const seen = await Promise.all(
    chosen.map(([name, entry]) =>
      limit(() => examineInTime(name, entry, { ...options, inventory, clock, begunMs, say })),
    ),
  );
  devices.push(...seen);
  checkVersions(
    seen.flatMap(({ device, part, software }) =>
      software === undefined ? [] : [{ device, kind: `${inventory.devices[device]?.driver} ${part}`, software }],
    ),
  ).forEach(say);
  return report(inventory.name);
}

const inventoryWords = ({ name, devices, links, spans }: Inventory): string =>
  `${name}: ${Object.keys(devices).length} devices, ${links.length} links, ${spans.length} spans`;

async function checkClock(
  inventory: Inventory,
  { deadlineMs, say }: { readonly deadlineMs: number; readonly say: (line: DoctorLine) => void },
): Promise<LabClock> {
  const about = { subject: 'clock', check: 'clock' } as const;
  const { clock: url } = inventory;
  if (url === undefined) {
    say({ ...about, ok: true, detail: 'wall time' });
    return wallClock({});
  }
  const clock = virtualClock({ url, step: () => undefined, deadlineMs });
  try {
    say({ ...about, ok: true, detail: `virtual time ${await clock.now()} ns at ${url}` });
  } catch (error) {
    say({ ...about, ok: false, ...told(error) });
  }
  return clock;
}

/** Free disk, and journals of runs that are gone. */
function checkThisMachine(
  inventory: Inventory,
  { folders = {}, leastFreeBytes, free, journals, say }: DoctorOptions & { readonly say: (line: DoctorLine) => void },
): void {
  const leastBytes = leastFreeBytes?.runner ?? LEAST_FREE_BYTES;
  for (const finding of checkRunner(folders, { leastBytes, ...(free && { free }) }))
    say({ subject: 'runner', ...finding });
  if (journals) checkJournals(journals, { lab: inventory.name, inventory: path.resolve(inventory.file) }).forEach(say);
}

interface Examining extends DoctorOptions {
  readonly inventory: Inventory;
  readonly clock: LabClock;
  readonly begunMs: number;
  readonly say: (line: DoctorLine) => void;
}

/** Examines a device, and gives up on it when the time for everything is over: its sessions then end by their own deadlines. */
async function examineInTime(name: string, entry: InventoryDevice, options: Examining): Promise<DoctorDevice> {
  const { inventory, clock, begunMs, health } = options;
  const { deadlineMs = DEADLINE_MS, withinMs = WITHIN_MS, refreshWithinMs = REFRESH_MS } = options;
  const subject = { device: name, key: deviceKey(entry) };
  const found: Finding[] = [];
  let over = false;
  const say = (raw: Finding): void => {
    if (over) return;
    const finding = secretsOf(inventory).data(raw);
    found.push(finding);
    options.say({ subject: name, ...finding });
  };
  const before = health?.of(subject);
  if (before?.health === 'quarantined') say(quarantineFinding(before, inventory.file));

  const examining = examineDevice(name, entry, {
    inventory,
    clock,
    deadlineMs,
    say,
    env: options.env ?? process.env,
    leastFreeBytes: options.leastFreeBytes?.device ?? LEAST_FREE_BYTES,
    refreshWithinMs: clock.kind === 'virtual' ? 0 : refreshWithinMs,
    ...(options.store && { store: options.store }),
    ...(options.connect && { connect: options.connect }),
  });
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>(resolve => {
    timer = setTimeout(() => resolve('late'), Math.max(0, begunMs + withinMs - performance.now()));
  });
  const seen = await Promise.race([examining, late]).finally(() => clearTimeout(timer));
  if (seen === 'late') {
    const fix = 'Log in by hand: it accepts sessions and hangs, or its management network loses what is sent.';
    say({ check: 'reach', ok: 'unknown', detail: `not done within ${withinMs / 1000} s`, fix });
    // Whatever it still says or throws is nobody's any more.
    examining.catch(() => undefined);
  }
  over = true;
  const ok = severity(found);
  const after = noteHealth(subject, found, { health, seen: seen === 'late' ? {} : seen });
  return {
    device: name,
    part: entry.part,
    ok,
    ...(seen === 'late' ? {} : seen),
    ...(after && { health: after }),
  };
}

function noteHealth(
  subject: { readonly device: string; readonly key: string },
  found: readonly Finding[],
  { health, seen }: { readonly health: HealthStore | undefined; readonly seen: Examination },
): DeviceHealth | undefined {
  if (!health) return undefined;
  const wrong = found.find(({ ok, check }) => ok === false && check !== 'health');
  const untouched = found.some(({ check }) => check === 'safety');
  try {
    if (seen.refreshNs !== undefined) health.measured(subject, seen.refreshNs);
    if (wrong) return health.note(subject, { what: 'failed', reason: `${wrong.check}: ${wrong.detail}`, by: 'doctor' });
    if (!untouched && severity(found) === true)
      return health.note(subject, { what: 'passed', reason: 'all checks passed', by: 'doctor' });
  } catch {
    // A full disk is told by the runner's own check; what was seen stands in the report.
  }
  return health.of(subject);
}
