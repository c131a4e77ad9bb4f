import { guardedCommand } from '../drivers/device-guard.ts';
import { changesOf, type DeviceChange } from '../lab/device-change.ts';
import { writePrefix } from '../lab/connect.ts';
import { type DriverName, ttlOf } from '../lab/inventory.ts';
import { solve } from '../lab/solver.ts';
import type { Solution } from '../lab/solver.ts';
import type { Topology } from '../model/topology.ts';
import type { PlanDescription } from '../run/describe-plan.ts';
import { inventoryAt } from './inventory-at.ts';

/** What every fault of a plan would send to which device, with its undo and what is read back. */
export async function commandsOf(
  plan: PlanDescription,
  { inventory }: { readonly inventory?: string },
): Promise<readonly string[]> {
  const read = inventory === undefined ? undefined : inventoryAt(inventory);
  const solution = read === undefined ? emulatedSolution(plan.topology) : solve(plan.topology, read);
  const ttlS = ttlOf(read ?? {});
  const driverOf = (device: string): DriverName =>
    read?.devices[device]?.driver ?? emulatedDriver(plan.topology, device);
  const seen = new Set<string>();
  return plan.phases.flatMap(({ name, faults }) =>
    faults.flatMap(({ fault, on }) => {
      const key = JSON.stringify(fault);
      if (seen.has(key)) return [];
      seen.add(key);
      const changes = changesOf(fault, solution);
      return [
        `  ${name}: ${fault.kind} on ${on}`,
        ...changes.flatMap(change => linesOf(change, { ttlS, prefix: writePrefix(driverOf(change.device)) })),
      ];
    }),
  );
}

function linesOf(
  { device, commands, undo, readBack, blast }: DeviceChange,
  { ttlS, prefix }: { readonly ttlS: number; readonly prefix: string },
): readonly string[] {
  const each = (label: string, lines: readonly string[]): readonly string[] =>
    lines.map((line, i) => `      ${(i === 0 ? label : '').padEnd(10)}${line}`);
  const armed = undo.length > 0;
  return [
    `    on ${device}`,
    ...each('send', commands),
    ...each('undo', armed ? undo : ['nothing: it comes back by itself']),
    ...each('timer', [armed ? `on the device, armed before: it undoes ${ttlS} s after the last renewal` : 'none']),
    ...each('read back', readBack),
    ...each('blast', [blast === 'link' ? 'this link' : 'the whole device']),
    ...each('as', [guardedCommand(prefix, 'TOKEN LEASE', commands[0] ?? '')]),
  ];
}

/** The driver of a device of the emulated lab, which is called as its node, or `span-NAME`. */
function emulatedDriver(topology: Topology, device: string): DriverName {
  if (topology.switches.some(({ name }) => name === device)) return 'sonic';
  return topology.hosts.some(({ name }) => name === device) ? 'gpu-node' : 'netem-span';
}

/**
 * The emulated lab is made for each run, so there is no inventory to solve yet. Its names are fixed by `docs/emulated-lab.md`:
 * each device is called as its node, the i-th port of a switch is `Ethernet{4 i}`, a span's box is `span-NAME`.
 */
function emulatedSolution(topology: Topology): Solution {
  const ports = new Map<string, string[]>();
  for (const { ends } of [...topology.links, ...Object.values(topology.spans)]) {
    for (const { node, port } of ends) ports.set(node, [...(ports.get(node) ?? []), port]);
  }
  const switches = new Set(topology.switches.map(({ name }) => name));
  const portName = (node: string, port: string): string =>
    switches.has(node) ? `Ethernet${4 * (ports.get(node) ?? []).indexOf(port)}` : port;
  return {
    devices: new Map([...topology.hosts, ...topology.switches].map(({ name }) => [name, name])),
    spans: new Map(Object.keys(topology.spans).map(name => [name, { device: `span-${name}`, reversed: false }])),
    switches,
    port: ({ node, port }) => ({ device: node, port: portName(node, port) }),
    portsOf: node => (ports.get(node) ?? []).map(name => ({ name, port: portName(node, name) })),
  };
}
