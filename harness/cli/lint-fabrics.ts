import type { Inventory } from '../lab/inventory.ts';
import type { Solution } from '../lab/solver.ts';
import { type CableEnd, fabricOf, type LintedCable, type LintedFabric } from '../lint/linted-fabric.ts';
import type { Topology } from '../model/topology.ts';
import { magnitude } from '../model/units.ts';

/** What an inventory says of its cables. It declares no settings. */
export function fabricOfInventory(inventory: Inventory): LintedFabric {
  const devices = Object.entries(inventory.devices);
  const end = (text: string): CableEnd => {
    const [device = '', port = ''] = text.split(' ');
    return { device, port };
  };
  const cable = ({ ends, rate, length }: Inventory['links'][number]): Omit<LintedCable, 'kind' | 'name'> => ({
    ends: [end(ends[0]), end(ends[1])],
    rateBps: magnitude(rate),
    metres: magnitude(length),
    asymmetryNs: 0,
  });
  return {
    name: inventory.name,
    spans: inventory.spans.map(span => ({
      ...cable(span),
      kind: 'span',
      name: span.name,
      box: { device: span.device, reversed: false },
    })),
    links: inventory.links.map(link => ({ ...cable(link), kind: 'link', name: link.ends.join(' -- ') })),
    switches: devices.filter(([, { part }]) => part === 'leaf' || part === 'spine').map(([name]) => name),
    siteOf: new Map(devices.map(([name, { site }]) => [name, site])),
    hosts: new Set(devices.filter(([, { part }]) => part === 'host').map(([name]) => name)),
    settings: {},
  };
}

/** A scenario's fabric by the names of the devices that play it. */
export function fabricInLab(topology: Topology, solution: Solution): LintedFabric {
  const fabric = fabricOf(topology);
  const deviceOf = (node: string): string => solution.devices.get(node) ?? node;
  const end = ({ device, port }: CableEnd): CableEnd => solution.port({ node: device, port });
  const placed = (cable: LintedCable): LintedCable => {
    const box = solution.spans.get(cable.name);
    return {
      ...cable,
      ends: [end(cable.ends[0]), end(cable.ends[1])],
      ...(cable.kind === 'span' && box !== undefined && { box }),
    };
  };
  return {
    ...fabric,
    spans: fabric.spans.map(placed),
    links: fabric.links.map(placed),
    switches: fabric.switches.map(deviceOf),
    siteOf: new Map([...fabric.siteOf].map(([node, site]) => [deviceOf(node), site])),
    hosts: new Set([...fabric.hosts].map(deviceOf)),
  };
}

/** Every device that a fabric's cables end at or go through. */
export function devicesOf({ spans, links }: LintedFabric): readonly string[] {
  const names = [...spans, ...links].flatMap(({ ends, box }) => [
    ...ends.map(({ device }) => device),
    ...(box === undefined ? [] : [box.device]),
  ]);
  return [...new Set(names)];
}
