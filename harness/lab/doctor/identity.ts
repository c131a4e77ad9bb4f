import type { DeviceFacts } from '../../binding/device-facts.ts';
import type { InventoryDevice } from '../inventory.ts';
import { differs } from '../right-box.ts';
import type { Finding } from './doctor-line.ts';

/** Whether the box is the one that the inventory means. Pure. */
export function checkIdentity(name: string, entry: InventoryDevice, facts: DeviceFacts): Finding {
  const says = `serial ${facts.serial || 'none'}, MAC ${facts.baseMac || 'none'}`;
  const differences = differs(entry, facts);
  if (differences.length > 0)
    return {
      check: 'identity',
      ok: false,
      detail: differences.join('; '),
      fix: 'Correct the address, or serial and baseMac if the device was replaced.',
    };
  if (entry.serial === undefined && entry.baseMac === undefined)
    return {
      check: 'identity',
      ok: false,
      detail: `the inventory states none; the device says ${says}`,
      fix: `Write serial and baseMac of ${name} into the inventory.`,
    };
  return { check: 'identity', ok: true, detail: says };
}
