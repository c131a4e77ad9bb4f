import { readFileSync } from 'node:fs';
import { describeFault } from '../lab/describe-fault.ts';
import type { DeviceAction } from '../lab/describe-fault.ts';
import { readInventory } from '../lab/inventory.ts';
import { solve } from '../lab/solver.ts';
import type { Solution } from '../lab/solver.ts';
import type { Fault } from '../model/fault.ts';
import type { Topology } from '../model/topology.ts';
import type { PlanDescription } from '../run/describe-plan.ts';

/** What every fault of a plan would send to which device, with its undo and what is read back. */
export async function commandsOf(
  plan: PlanDescription,
  { inventory }: { readonly inventory?: string },
): Promise<readonly string[]> {
  const solution =
    inventory === undefined
      ? emulatedSolution(plan.topology)
      : solve(plan.topology, readInventory(readFileSync(inventory, 'utf8'), inventory));
  const seen = new Set<string>();
  return plan.phases.flatMap(({ name, faults }) =>
    faults.flatMap(({ fault, on }) => {
      const key = JSON.stringify(fault);
      if (seen.has(key)) return [];
      seen.add(key);
      return [`  ${name}: ${fault.kind} on ${on}`, ...actionsOf(fault, solution).flatMap(linesOf)];
    }),
  );
}

const actionsOf = (fault: Fault, solution: Solution): readonly DeviceAction[] => describeFault(fault, solution);

function linesOf({ device, commands, undo, readBack }: DeviceAction): readonly string[] {
  const each = (label: string, lines: readonly string[]): readonly string[] =>
    lines.map((line, i) => `      ${(i === 0 ? label : '').padEnd(10)}${line}`);
  return [
    `    on ${device}`,
    ...each('send', commands),
    ...each('undo', undo.length > 0 ? undo : ['nothing: it comes back by itself']),
    ...each('read back', readBack),
  ];
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
