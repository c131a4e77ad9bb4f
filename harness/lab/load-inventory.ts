import { readFile } from 'node:fs/promises';
import { TestbedUnavailable } from '../binding/binding.ts';
import { type Inventory, readInventory } from './inventory.ts';

/** The inventory that a run is to use. @throws TestbedUnavailable when there is no such file; InventoryError when it is wrong */
export async function loadInventory(file: string): Promise<Inventory> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new TestbedUnavailable(
      `The inventory ${file} can not be read: ${code === 'ENOENT' ? 'there is no such file' : (error as Error).message}.`,
      { cause: error },
    );
  }
  return readInventory(text, file);
}
