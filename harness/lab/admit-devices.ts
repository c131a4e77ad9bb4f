import { TestbedUnavailable } from '../binding/binding.ts';
import type { connectDevice, ConnectOptions } from './connect.ts';
import { secretsOf } from './credentials.ts';
import type { DoctorCheck, Finding } from './doctor/doctor-line.ts';
import { examineDevice } from './doctor/examine-device.ts';
import { LEAST_FREE_BYTES } from './doctor/free-space.ts';
import { quarantineFinding } from './doctor/quarantine.ts';
import type { HealthStore } from './health.ts';
import { deviceKey, type Inventory } from './inventory.ts';
import type { LabClock } from './lab-clock.ts';
import type { LeaseStore } from './lease-store.ts';

export interface AdmitOptions {
  readonly inventory: Inventory;
  readonly health: HealthStore;
  readonly store: Pick<LeaseStore, 'list' | 'knows'>;
  readonly clock: LabClock;
  readonly env: ConnectOptions['env'];
  readonly connect?: typeof connectDevice;
}

const DEADLINE_MS = 10_000;

/** What a healthy device may never tell: a neighbour without LLDP, a cable without an optic. A suspect one stays suspect then. */
const MAY_BE_UNTOLD: ReadonlySet<DoctorCheck> = new Set<DoctorCheck>(['cabling', 'optics']);
/** What the reservation itself takes care of. */
const NOT_ASKED: ReadonlySet<DoctorCheck> = new Set<DoctorCheck>(['left behind']);

/**
 * Lets only devices into a testbed that may be used: none that is quarantined, and a suspect one only after the doctor's checks.
 *
 * @throws TestbedUnavailable naming device, check and fix
 */
export async function admitDevices(devices: readonly string[], options: AdmitOptions): Promise<void> {
  const { inventory, health } = options;
  const known = devices.flatMap(device => {
    const entry = inventory.devices[device];
    return entry ? [{ entry, ...health.of({ device, key: deviceKey(entry) }) }] : [];
  });
  const refused = known
    .filter(one => one.health === 'quarantined')
    .map(one => refusal(inventory, one.device, quarantineFinding(one, inventory.file)));
  if (refused.length > 0) throw new TestbedUnavailable(refused.join('\n'));
  const suspects = known.filter(one => one.health === 'suspect');
  const looked = await Promise.all(
    suspects.map(async ({ device, key, entry, reason }) => {
      const findings: Finding[] = [];
      await examineDevice(device, entry, {
        ...options,
        deadlineMs: DEADLINE_MS,
        leastFreeBytes: LEAST_FREE_BYTES,
        refreshWithinMs: 0,
        say: finding => void findings.push(secretsOf(inventory).data(finding)),
      });
      const open = findings.filter(({ ok, check }) => ok !== true && !NOT_ASKED.has(check));
      if (open.length === 0) {
        health.note({ device, key }, { what: 'passed', reason: `all checks passed; before: ${reason}`, by: 'doctor' });
        return [];
      }
      const wrong = open.find(({ ok, check }) => ok === false || !MAY_BE_UNTOLD.has(check));
      if (!wrong) return [];
      health.note({ device, key }, { what: 'failed', reason: `${wrong.check}: ${wrong.detail}`, by: 'doctor' });
      return [refusal(inventory, device, wrong, `it is suspect (${reason}), and `)];
    }),
  );
  const still = looked.flat();
  if (still.length > 0) throw new TestbedUnavailable(still.join('\n'));
}

const refusal = (inventory: Inventory, device: string, { check, detail, fix }: Finding, why = ''): string =>
  `${inventory.where(['devices', device])}: ${device} is not used: ${why}${check === 'health' ? '' : `${check}: `}${detail}.\n  ${fix ?? ''}`;
