import { TestbedUnavailable } from '../binding/binding.ts';
import type { DeviceFacts } from '../binding/device-facts.ts';
import type { Opened } from './connect.ts';
import type { Inventory } from './inventory.ts';

const mac = (text: string): string => text.toLowerCase().replaceAll('-', ':');

/**
 * Asks a device who it is, and compares with the inventory. Must pass before the first write.
 *
 * @throws TestbedUnavailable when it is another box, or the inventory gives nothing to tell it by
 */
export async function rightBox(
  device: string,
  { opened, inventory }: { readonly opened: Opened; readonly inventory: Inventory },
): Promise<DeviceFacts> {
  const entry = inventory.devices[device];
  const facts = await opened.facts();
  const differences = differs(entry ?? {}, facts);
  if (differences.length > 0) {
    throw new TestbedUnavailable(
      `${inventory.where(['devices', device])}: ${device} is the wrong box: ${differences.join('; ')}.\n` +
        '  Nothing was written to it. Correct the address, or, when the device was replaced, its serial and baseMac in the inventory.',
    );
  }
  if (entry?.serial === undefined && entry?.baseMac === undefined) {
    throw new TestbedUnavailable(
      `${inventory.where(['devices', device])}: ${device} has neither serial nor baseMac, so nobody can tell whether it is the right box.\n` +
        `  It says: serial ${facts.serial || 'none'}, baseMac ${facts.baseMac || 'none'}. If that is the device you mean, write it into the inventory.`,
    );
  }
  return facts;
}

/** What the inventory states and the device denies, in words. */
export function differs(
  stated: { readonly serial?: string | undefined; readonly baseMac?: string | undefined },
  facts: DeviceFacts,
): readonly string[] {
  const differences: string[] = [];
  if (stated.serial !== undefined && stated.serial !== facts.serial) {
    differences.push(`the inventory says serial ${stated.serial}, the device says ${facts.serial || 'none'}`);
  }
  if (stated.baseMac !== undefined && mac(stated.baseMac) !== mac(facts.baseMac)) {
    differences.push(`the inventory says MAC ${mac(stated.baseMac)}, the device says ${mac(facts.baseMac) || 'none'}`);
  }
  return differences;
}
