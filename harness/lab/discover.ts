import type { DeviceFacts } from '../binding/device-facts.ts';
import { Document } from 'yaml';
import type { LldpNeighbor } from '../binding/switch.ts';
import { TestbedUnavailable } from '../binding/binding.ts';
import { connectDevice, type ConnectOptions } from './connect.ts';
import type { Inventory } from './inventory.ts';
import { suggest } from './near-miss.ts';

/** What one switch said. */
export interface Seen {
  readonly device: string;
  readonly facts: DeviceFacts;
  readonly neighbors: readonly LldpNeighbor[];
}

/** A person must write this before `readInventory` accepts the draft; it is no value of any key. */
const TO_WRITE = '?';

/**
 * Reads identity and LLDP neighbours of the seeds (default: every switch of the inventory) and drafts an inventory.
 *
 * @returns YAML: what was known stays, serial and MAC are filled in, new cables and unknown neighbours are added. LLDP tells neither
 *   rate nor length nor how to log in: those are `?`, which `readInventory` refuses line by line until a person has written them.
 * @throws TestbedUnavailable for an unknown seed or one that is no switch; DeviceError when a seed does not answer
 */
export async function discover(
  inventory: Inventory,
  options: { readonly seeds?: readonly string[]; readonly env?: ConnectOptions['env'] } = {},
): Promise<string> {
  const switches = Object.entries(inventory.devices)
    .filter(([, { part }]) => part === 'leaf' || part === 'spine')
    .map(([name]) => name);
  const seeds = options.seeds ?? switches;
  if (seeds.length === 0)
    throw new TestbedUnavailable(
      `${inventory.file} has no switch to begin with. Write one device with its address, then discover from it.`,
    );
  const seen = await Promise.all(
    seeds.map(async (device): Promise<Seen> => {
      if (!switches.includes(device))
        throw new TestbedUnavailable(
          `${inventory.file} has no switch "${device}". ${suggest({ word: device, known: switches, what: 'switches' })}`,
        );
      const opened = await connectDevice(device, { inventory, env: options.env ?? process.env });
      try {
        if (opened.kind !== 'switch') throw new TestbedUnavailable(`${device} is no switch.`);
        const [facts, neighbors] = await Promise.all([opened.facts(), opened.driver.lldp()]);
        return { device, facts, neighbors };
      } finally {
        await opened.driver.close();
      }
    }),
  );
  return draftInventory(inventory, seen);
}

/** A cable has one name whichever end told of it. */
const cableKey = (a: string, b: string): string => [a, b].toSorted().join(' - ');

/** The draft, from what was known and what was seen. Pure. */
export function draftInventory(inventory: Inventory, seen: readonly Seen[]): string {
  const { farspan, name, clock, traps, credentials, spans } = inventory;
  const devices: Record<string, unknown> = { ...inventory.devices };
  for (const { device, facts } of seen) {
    const known = inventory.devices[device];
    devices[device] = { ...known, serial: known?.serial ?? facts.serial, baseMac: known?.baseMac ?? facts.baseMac };
  }
  const cables = new Set([...inventory.links, ...spans].map(({ ends: [a, b] }) => cableKey(a, b)));
  const links: unknown[] = [...inventory.links];
  for (const { device, neighbors } of seen) {
    for (const { port, device: far, remotePort } of neighbors) {
      const ends: [string, string] = [`${device} ${port}`, `${far} ${remotePort}`];
      if (!Object.hasOwn(devices, far)) {
        const site = inventory.devices[device]?.site ?? TO_WRITE;
        devices[far] = {
          driver: TO_WRITE,
          role: TO_WRITE,
          site,
          part: TO_WRITE,
          ssh: { host: TO_WRITE, port: 22, credentials: TO_WRITE },
        };
      }
      // Both ends of a span are LLDP neighbours too: the box between them does not answer.
      const onSpan = spans.some(span => ends.every(end => span.ends.includes(end)));
      if (onSpan || cables.has(cableKey(...ends))) continue;
      cables.add(cableKey(...ends));
      links.push({ ends, rate: TO_WRITE, length: TO_WRITE });
    }
  }
  const document = new Document({
    farspan,
    name,
    ...(clock === undefined ? {} : { clock }),
    ...(traps === undefined ? {} : { traps }),
    credentials,
    devices,
    links,
    spans,
  });
  document.commentBefore = ' Drafted from LLDP. Write what stands as "?", then run: farspan doctor';
  return document.toString({ lineWidth: 0 });
}
