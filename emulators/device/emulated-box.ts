import type { FabricSim, SpanState } from '../fabric-sim/index.ts';
import type { LabShape } from './lab-shape.ts';
import type { ArmedTimer, DetachedProcess, LinuxBox } from './linux-box.ts';

/** What is true of one device, for tests that must not believe what it says. Reads only. */
export interface EmulatedBox {
  readonly name: string;
  /** Of a switch, by the device's own names; empty on other devices. */
  ports(): readonly { readonly name: string; readonly adminUp: boolean; readonly operUp: boolean }[];
  /** Of a span box: what it does to each direction. Undefined on other devices. */
  span(): { readonly name: string; readonly 'a-to-b': SpanState; readonly 'b-to-a': SpanState } | undefined;
  processes(): readonly DetachedProcess[];
  /** Text of each file below a folder, by its path from there. Default: what Farspan keeps there. */
  files(folder?: string): ReadonlyMap<string, string>;
  /** What will run by itself in wall time. */
  timers(): readonly ArmedTimer[];
}

export function emulatedBox({
  box,
  sim,
  shape,
}: {
  readonly box: LinuxBox;
  readonly sim: FabricSim;
  readonly shape: LabShape;
}): EmulatedBox {
  const { name } = box;
  const isSwitch = shape.topology.switches.some(node => node.name === name);
  const span = Object.values(shape.topology.spans).find(candidate => shape.spanBox(candidate.name) === name);
  return {
    name,
    ports() {
      if (!isSwitch) return [];
      const now = new Map(sim.ports(name).map(port => [port.name, port]));
      return shape.ports(name).map(({ port, devicePort }) => {
        const { adminUp = false, operUp = false } = now.get(port) ?? {};
        return { name: devicePort, adminUp, operUp };
      });
    },
    span: () =>
      span && {
        name: span.name,
        'a-to-b': { ...sim.span(span.name, 'a-to-b') },
        'b-to-a': { ...sim.span(span.name, 'b-to-a') },
      },
    processes: () => box.detached(),
    files: (folder = '/run/farspan') => box.files.below(folder),
    timers: () => box.timers(),
  };
}
