import type { DeviceHealth } from '../health.ts';
import type { Finding } from './doctor-line.ts';

/** How a quarantined device is told, by the doctor and by a reservation that refuses it. Pure. */
export const quarantineFinding = ({ device, reason, since, by }: DeviceHealth, inventory: string): Finding => ({
  check: 'health',
  ok: false,
  detail: `quarantined${since === undefined ? '' : ` since ${since}`} by ${by}: ${reason}`,
  fix: `Run: farspan recover --inventory ${inventory}. Or, when you know that it is as it should be: farspan doctor --inventory ${inventory} --release ${device} --because TEXT`,
});
