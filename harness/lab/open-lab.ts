import type { Host } from '../binding/host.ts';
import type { SpanShaper } from '../binding/span-shaper.ts';
import type { Switch } from '../binding/switch.ts';
import type { RecordLine } from '../model/record.ts';
import type { Topology } from '../model/topology.ts';
import type { ClockWatch } from './clock-watch.ts';
import type { Inventory } from './inventory.ts';
import type { LabClock } from './lab-clock.ts';
import type { Solution } from './solver.ts';

/** Drivers under the names of the topology: everything a testbed plays on. */
export interface OpenLab {
  readonly topology: Topology;
  readonly inventory: Inventory;
  readonly solution: Solution;
  readonly clock: LabClock;
  /** The clock's reading at the reservation, ns. */
  readonly epochNs: number;
  readonly switches: ReadonlyMap<string, Switch>;
  readonly hosts: ReadonlyMap<string, Host>;
  /** By span name. */
  readonly shapers: ReadonlyMap<string, SpanShaper>;
  readonly record: (line: RecordLine) => void;
  /** How often the agent of a node refreshes its counters, as `doctor` measured it, ns. Not there: nobody did. */
  readonly refreshNs?: ReadonlyMap<string, number>;
  /** Reads the devices' clocks into the record. Not there: a lab made by hand. */
  readonly clocks?: ClockWatch;
}

/** ns since the reservation. */
export const nowOf = async (lab: OpenLab): Promise<number> => (await lab.clock.now()) - lab.epochNs;

/** The device that plays a node, as the inventory names it. */
export function deviceOf(lab: OpenLab, node: string): string {
  const device = lab.solution.devices.get(node);
  if (device === undefined) throw new RangeError(`No device plays ${node}.`);
  return device;
}

/** @throws RangeError when the node is no open switch of this lab */
export function switchOf(lab: OpenLab, node: string): Switch {
  const found = lab.switches.get(node);
  if (!found) throw new RangeError(`${node} is no switch of ${lab.topology.name}.`);
  return found;
}

/** @throws RangeError when the node is no open host of this lab */
export function hostOf(lab: OpenLab, node: string): Host {
  const found = lab.hosts.get(node);
  if (!found) throw new RangeError(`${node} is no host of ${lab.topology.name}.`);
  return found;
}

/** Data-plane address of a node. @throws RangeError when the inventory names none */
export function addressOf(lab: OpenLab, node: string): string {
  const device = deviceOf(lab, node);
  const address = lab.inventory.devices[device]?.address;
  if (address === undefined)
    throw new RangeError(
      `${lab.inventory.where(['devices', device])}: ${device} needs an "address" (its data-plane address) to play ${node}.`,
    );
  return address;
}
