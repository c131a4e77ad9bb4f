import type { RawPortCounters } from '../binding/switch.ts';
import type { PortCounters } from '../model/record.ts';
import type { CounterHistory } from './counter-history.ts';
import { nowOf, type OpenLab } from './open-lab.ts';
import { rateOf } from './port-rates.ts';
import type { StaleSamples } from './stale-samples.ts';

/** What SNMP brings, and with it a sample. */
const SAMPLED: readonly (keyof PortCounters)[] = ['rxBytes', 'txBytes', 'rxPackets', 'txPackets', 'drops', 'operUp'];

/** A switch that did not answer is not asked again for this long, wall time: one that reboots would hold up every sample. */
const QUIET_MS = 10_000;

export interface ObserveOptions {
  readonly lab: OpenLab;
  readonly history: CounterHistory;
  /** Switches that lately did not answer, and until when (`performance.now()`) samples leave them out. */
  readonly quiet: Map<string, number>;
  /** Knows what the agents' caches held. Absent: nothing is held back. */
  readonly stale?: StaleSamples;
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

interface When {
  readonly atNs: number;
  /** What the reading took, ns. */
  readonly bracketNs: number;
  readonly how: 'all' | 'sample';
}

function write(options: ObserveOptions, { atNs, bracketNs, how }: When, { node, ports }: NodeReading): void {
  const { lab, history, stale } = options;
  const held = stale?.isHeld(node, { ports, atNs }) === true && how === 'sample';
  const cachedNs = stale?.mostNs(node) ?? 0;
  const counters = new Map<string, PortCounters>();
  const anew: Record<string, readonly (keyof PortCounters)[]> = {};
  const breaks = new Map<string, string[]>();
  let older = false;
  // Ports that are vouched for come first: a restart that one of them shows is a restart of all.
  const ordered = [...ports].toSorted(([, a], [, b]) => Number(!a?.vouched) - Number(!b?.vouched));
  for (const [port, raw] of ordered) {
    if (raw === undefined) {
      if (how === 'all') history.missed({ node, port });
      counters.set(port, unread(history.known({ node, port }), how));
      continue;
    }
    const rateBps = rateOf(lab.topology, { node, port });
    const reading = { node, port, atNs, bracketNs, cachedNs, ...(rateBps !== undefined && { rateBps }) };
    // What the agent holds is of an instant that was written already.
    const counted = history.since(reading, held ? statesOf(raw) : raw);
    counters.set(
      port,
      held ? { ...unread(history.known({ node, port }), how), ...counted.counters } : counted.counters,
    );
    older ||= counted.older === true;
    if (counted.anew.length > 0) anew[port] = counted.anew;
    for (const why of counted.breaks) breaks.set(why, [...(breaks.get(why) ?? []), port]);
  }
  const age = bracketNs + (older ? cachedNs : (stale?.toldNs(node) ?? 0));
  lab.record({
    kind: 'counters',
    atNs,
    ...(age > 0 && { bracketNs: age }),
    node,
    ports: Object.fromEntries([...ports.keys()].map(port => [port, counters.get(port) as PortCounters])),
    ...(Object.keys(anew).length > 0 && { anew }),
  });
  for (const [why, of] of breaks)
    lab.record({ kind: 'event', atNs, node, what: `counter reset: ${why} (${some(of)})` });
}

/** Without what the agent caches: a state is always of now. */
const statesOf = ({ operUp, vouched }: RawPortCounters): RawPortCounters => ({
  ...(operUp !== undefined && { operUp }),
  ...(vouched && { vouched }),
});

const some = (ports: readonly string[]): string =>
  ports.length > 3 ? `${ports.slice(0, 3).join(', ')} and ${ports.length - 3} more ports` : ports.join(', ');

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

/**
 * Reads every counter of every switch and host, all at once, and writes one line per device. Where agents are known to cache, waits first
 * until each must have refreshed: a reading at the edge of a phase then holds all of the phase.
 */
export async function observeAll(options: ObserveOptions): Promise<void> {
  const { lab, stale } = options;
  const waitNs = Math.max(0, ...[...lab.switches.keys()].map(node => stale?.toldNs(node) ?? 0));
  if (waitNs > 0) await lab.clock.elapse({ forNs: waitNs });
  const beganNs = await nowOf(lab);
  const readings = await Promise.all([
    ...[...lab.switches].map(([node, device]) => readSwitch(lab, node, ports => device.counters(ports))),
    ...[...lab.hosts.keys()].map(node => readHost(lab, node)),
  ]);
  const atNs = await nowOf(lab);
  for (const reading of readings) write(options, { atNs, bracketNs: atNs - beganNs, how: 'all' }, reading);
}

/**
 * The light samples of all switches, all at once. A switch without SNMP gives none; one that does not answer gives nulls, and so does one
 * whose agent still holds what it held at the sample before: that is no sample of no traffic.
 */
export async function sampleSwitches(options: ObserveOptions): Promise<void> {
  const { lab, quiet } = options;
  const beganNs = await nowOf(lab);
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
    write(options, { atNs, bracketNs: atNs - beganNs, how: 'sample' }, reading);
  }
}
