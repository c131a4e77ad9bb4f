import type { RawPortCounters } from '../binding/switch.ts';
import type { PortCounters } from '../model/record.ts';
import type { CounterHistory } from './counter-history.ts';
import { nowOf, type OpenLab } from './open-lab.ts';

/** What SNMP brings, and with it a sample. */
const SAMPLED: readonly (keyof PortCounters)[] = ['rxBytes', 'txBytes', 'rxPackets', 'txPackets', 'drops', 'operUp'];

/** A switch that did not answer is not asked again for this long, wall time: one that reboots would hold up every sample. */
const QUIET_MS = 10_000;

export interface ObserveOptions {
  readonly lab: OpenLab;
  readonly history: CounterHistory;
  /** Switches that lately did not answer, and until when (`performance.now()`) samples leave them out. */
  readonly quiet: Map<string, number>;
}

type Reading = ReadonlyMap<string, RawPortCounters>;

/**
 * A failed reading says null, never zero, for each counter that the port has shown before: a counter that is absent would count as one
 * that the device does not have. Before any has been seen: what SNMP brings.
 */
function unread(known: ReadonlySet<keyof PortCounters>, how: 'all' | 'sample'): PortCounters {
  const keys = how === 'all' && known.size > 0 ? [...known] : SAMPLED.filter(key => known.size === 0 || known.has(key));
  return Object.fromEntries(keys.map(key => [key, null]));
}

interface NodeReading {
  readonly node: string;
  /** By the topology's port name; undefined when the device could not be read. */
  readonly ports: ReadonlyMap<string, RawPortCounters | undefined>;
}

function write(
  { lab, history }: ObserveOptions,
  { atNs, how }: { readonly atNs: number; readonly how: 'all' | 'sample' },
  { node, ports }: NodeReading,
): void {
  const counters: Record<string, PortCounters> = {};
  const resets = new Set<string>();
  for (const [port, raw] of ports) {
    if (raw === undefined) {
      if (how === 'all') history.missed({ node, port });
      counters[port] = unread(history.known({ node, port }), how);
      continue;
    }
    const since = history.since({ node, port }, raw);
    counters[port] = since.counters;
    for (const key of since.resets) resets.add(key);
  }
  lab.record({ kind: 'counters', atNs, node, ports: counters });
  if (resets.size > 0)
    lab.record({ kind: 'event', atNs, node, what: `counter reset: ${[...resets].join(', ')} went backwards` });
}

async function readSwitch(
  lab: OpenLab,
  node: string,
  read: (ports: readonly string[]) => Promise<Reading>,
): Promise<NodeReading> {
  const places = lab.solution.portsOf(node);
  try {
    const found = await read(places.map(({ port }) => port));
    return { node, ports: new Map(places.map(({ name, port }) => [name, found.get(port)])) };
  } catch {
    // The step log holds the error; the record says that nothing was read.
    return unreadSwitch(lab, node);
  }
}

function unreadSwitch(lab: OpenLab, node: string): NodeReading {
  return { node, ports: new Map(lab.solution.portsOf(node).map(({ name }) => [name, undefined])) };
}

async function readHost(lab: OpenLab, node: string): Promise<NodeReading> {
  const [place] = lab.solution.portsOf(node);
  const name = place?.name ?? 'eth0';
  try {
    return { node, ports: new Map([[name, (await lab.hosts.get(node)?.counters()) as RawPortCounters | undefined]]) };
  } catch {
    return { node, ports: new Map([[name, undefined]]) };
  }
}

/** Reads every counter of every switch and host, all at once, and writes one line per device. */
export async function observeAll(options: ObserveOptions): Promise<void> {
  const { lab } = options;
  const readings = await Promise.all([
    ...[...lab.switches].map(([node, device]) => readSwitch(lab, node, ports => device.counters(ports))),
    ...[...lab.hosts.keys()].map(node => readHost(lab, node)),
  ]);
  const atNs = await nowOf(lab);
  for (const reading of readings) write(options, { atNs, how: 'all' }, reading);
}

/** The light samples of all switches, all at once. A switch without SNMP gives none; one that does not answer gives nulls. */
export async function sampleSwitches(options: ObserveOptions): Promise<void> {
  const { lab, quiet } = options;
  const readings = await Promise.all(
    [...lab.switches].flatMap(([node, device]) => {
      if (!device.sample) return [];
      if ((quiet.get(node) ?? 0) > performance.now()) return [Promise.resolve(unreadSwitch(lab, node))];
      return [readSwitch(lab, node, ports => device.sample?.(ports) ?? Promise.resolve(new Map()))];
    }),
  );
  if (readings.length === 0) return;
  const atNs = await nowOf(lab);
  for (const reading of readings) {
    const answered = [...reading.ports.values()].some(raw => raw !== undefined);
    if (answered) quiet.delete(reading.node);
    else if ((quiet.get(reading.node) ?? 0) <= performance.now()) quiet.set(reading.node, performance.now() + QUIET_MS);
    write(options, { atNs, how: 'sample' }, reading);
  }
}
