import { readFileSync } from 'node:fs';
import { type Inventory, readInventory } from '../lab/inventory.ts';
import { UsageError } from './usage-error.ts';

/** The inventory that a command names. @throws UsageError when there is no such file; InventoryError when it is wrong */
export function inventoryAt(file: string): Inventory {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`${file} could not be read: ${(error as Error).message}`, { cause: error });
  }
  return readInventory(text, file);
}
