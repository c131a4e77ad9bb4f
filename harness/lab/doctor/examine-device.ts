import type { PortStatus } from '../../binding/switch.ts';
import { label } from '../../drivers/device-text.ts';
import type { SnmpSession } from '../../drivers/snmp.ts';
import { connectDevice, type ConnectOptions, openSnmp, type Opened } from '../connect.ts';
import type { Inventory, InventoryDevice } from '../inventory.ts';
import type { LabClock } from '../lab-clock.ts';
import type { LeaseStore } from '../lease-store.ts';
import { holds } from '../lease-store.ts';
import { checkCabling } from './cabling.ts';
import { checkRefresh, judgeWidths } from './counters.ts';
import { checkCredentials } from './credentials.ts';
import { checkTime, type DeviceTime } from './device-time.ts';
import { type Finding, isTrouble, told } from './doctor-line.ts';
import { checkDisk } from './free-space.ts';
import { checkGpus } from './gpus.ts';
import { checkGuarding } from './guarding.ts';
import { checkHostKey } from './host-key.ts';
import { checkIdentity } from './identity.ts';
import { checkLeftBehind, type LeaseFate } from './left-behind.ts';
import { ask, cabledPorts, type OpenDevice } from './open-device.ts';
import { checkOptics } from './optics.ts';
import { checkShaper } from './shaper.ts';
import { within } from './within.ts';

export interface ExamineOptions {
  readonly inventory: Inventory;
  readonly env: ConnectOptions['env'];
  readonly clock: LabClock;
  /** Each check has this long. */
  readonly deadlineMs: number;
  readonly leastFreeBytes: number;
  /** Tells whose lease lies on a device. Absent: every lease is somebody else's. */
  readonly store?: Pick<LeaseStore, 'list' | 'knows'>;
  /** How long an agent's refresh is waited for; 0: it is not measured. */
  readonly refreshWithinMs: number;
  readonly connect?: typeof connectDevice;
  /** Told each finding as soon as it is known. */
  readonly say: (finding: Finding) => void;
}

/** What an examination found besides its findings, for what is compared across devices and for the board. */
export interface Examination {
  readonly software?: string;
  readonly time?: DeviceTime;
  /** How old readings of its counters may be, ns. */
  readonly refreshNs?: number;
}

const SYS_UPTIME = '1.3.6.1.2.1.1.3.0';

/**
 * Looks at one device: from the outside in, and then at everything that it tells, all at once. Nothing is written to it. A device of role
 * `production` is not contacted.
 */
export async function examineDevice(
  name: string,
  entry: InventoryDevice,
  options: ExamineOptions,
): Promise<Examination> {
  const { inventory, env, deadlineMs, say } = options;
  if (entry.role !== 'lab') {
    say({ check: 'safety', ok: true, detail: `role ${entry.role}: not touched` });
    return {};
  }
  const secrets = await checkCredentials(entry, { inventory, env });
  secrets.forEach(say);
  const keys = await checkHostKey(name, entry, deadlineMs);
  keys.forEach(say);
  if ([...secrets, ...keys].some(({ ok }) => ok !== true)) return {};

  let opened: Opened;
  try {
    opened = await (options.connect ?? connectDevice)(name, { inventory, env });
  } catch (error) {
    if (!isTrouble(error)) throw error;
    say({ check: 'login', ok: false, ...told(error) });
    return {};
  }
  let snmp: SnmpSession | undefined;
  try {
    const facts = await opened.facts();
    say({ check: 'login', ok: true, detail: `${facts.model} ${facts.software}`.trim() });
    const identity = checkIdentity(name, entry, facts);
    say(identity);
    // What another box tells is no matter of this one.
    if (identity.ok === false && (entry.serial !== undefined || entry.baseMac !== undefined)) return {};
    snmp = await openSnmp(name, entry, { inventory, env });
    const device: OpenDevice = { name, entry, inventory, opened, facts };
    const answers = snmp === undefined ? false : await checkSnmp(snmp, options);
    return await examineOpen(answers && snmp ? { ...device, snmp } : device, options);
  } catch (error) {
    if (!isTrouble(error)) throw error;
    say({ check: 'login', ok: false, ...told(error) });
    return {};
  } finally {
    snmp?.close();
    await opened.driver.close();
  }
}

/** @returns whether the agent answers */
async function checkSnmp(snmp: SnmpSession, { say, deadlineMs }: ExamineOptions): Promise<boolean> {
  const [finding] = await within('snmp', deadlineMs, async () => {
    try {
      const uptime = (await snmp.get([SYS_UPTIME])).get(SYS_UPTIME);
      return [
        typeof uptime === 'number'
          ? { check: 'snmp', ok: true, detail: `sysUpTime ${uptime / 100} s` }
          : {
              check: 'snmp',
              ok: false,
              detail: 'it answers but has no sysUpTime',
              fix: 'Give this user or community a view of the system group.',
            },
      ];
    } catch (error) {
      if (!isTrouble(error)) throw error;
      return [{ check: 'snmp', ok: false, ...told(error) }];
    }
  });
  if (finding) say(finding);
  return finding?.ok === true;
}

async function examineOpen(device: OpenDevice, options: ExamineOptions): Promise<Examination> {
  const { deadlineMs, say, leastFreeBytes, clock, refreshWithinMs } = options;
  const { opened, inventory, snmp } = device;
  let time: DeviceTime | undefined;
  let software: string | undefined = device.facts.software;
  let refreshNs: number | undefined;
  const check = async (...[name, ms, look]: Parameters<typeof within>): Promise<void> => {
    (await within(name, ms, look)).forEach(say);
  };
  const looks = [
    check('time', deadlineMs, async () => {
      const found = await checkTime(device, clock);
      time = found.time;
      return [found.finding];
    }),
    check('disk', deadlineMs, () => checkDisk(device, leastFreeBytes)),
    check('undo', deadlineMs, async () => {
      const survey = await opened.guard.survey();
      const fate = survey.lease && (await fateOf(survey.lease.lease, options.store));
      return [...checkGuarding(survey), checkLeftBehind(survey, { fate, inventory: inventory.file })];
    }),
  ];
  if (opened.kind === 'host') looks.push(check('gpu', deadlineMs, () => checkGpus(device)));
  if (opened.kind === 'span') {
    const span = inventory.spans.find(one => one.device === device.name);
    looks.push(check('shaper', deadlineMs, () => checkShaper(opened.driver, span)));
    // It has no release of its own; its kernel is what plays the fibre.
    software = await ask(device, 'uname -sr', text => label(text)).catch(() => undefined);
  }
  if (opened.kind === 'switch') {
    const { driver } = opened;
    const cabled = cabledPorts(inventory, device.name);
    looks.push(
      check('cabling', deadlineMs, async () => {
        // Without SNMP no port tells whether it is up.
        const none: ReadonlyMap<string, PortStatus> = new Map();
        const [neighbors, ports] = await Promise.all([driver.lldp(), snmp ? driver.ports() : none]);
        return checkCabling(device.name, { inventory, neighbors, ports });
      }),
      check('optics', deadlineMs, () => checkOptics(device)),
    );
    if (snmp) {
      looks.push(
        check('counters', deadlineMs, async () => judgeWidths(cabled, (await driver.widths?.(cabled)) ?? new Map())),
      );
      if (refreshWithinMs > 0)
        looks.push(
          check('refresh', refreshWithinMs + deadlineMs, async () => {
            const { finding, refresh } = await checkRefresh(snmp, refreshWithinMs);
            refreshNs = refresh.missing === undefined ? refresh.mostNs : undefined;
            return [finding];
          }),
        );
    }
  }
  await Promise.all(looks);
  return {
    ...(software !== undefined && { software }),
    ...(time && { time }),
    ...(refreshNs !== undefined && { refreshNs }),
  };
}

async function fateOf(lease: string, store: ExamineOptions['store']): Promise<LeaseFate> {
  if (!store || !(await store.knows(lease))) return 'foreign';
  return (await store.list()).some(one => one.id === lease && holds(one)) ? 'living' : 'ended';
}
