import { OptionRefused } from '../../../harness/binding/binding.ts';
import { GRANULARITY_WORDS, type PhaseGranularity, phaseGranularity } from '../../../harness/model/granularity.ts';
import type { PortRef, Span, Topology } from '../../../harness/model/topology.ts';
import { DEFECTS } from '../defects.ts';

export interface SimOptions {
  readonly trainPackets: number;
  readonly defect?: string;
  /** Of each phase, in the order of the plan; absent: trains of `trainPackets` throughout. */
  readonly granularity?: PhaseGranularity;
  /** Series of all flows and these ports and their queues, at this interval; without ports, those that `followedPorts` chooses. */
  readonly series?: { readonly intervalPs: number; readonly ports?: readonly PortRef[] };
}

/** Packets simulated as one unit unless the option says otherwise. */
const DEFAULT_TRAIN = 8;
const LONGEST_TRAIN = 64;

const KNOWN = ['defect', 'trainPackets', 'granularity', 'series'] as const;

/** @throws OptionRefused for an unknown option, an unknown defect, or a train length that is not a whole number from 1 to 64 */
export function readOptions(options: Readonly<Record<string, string>>): SimOptions {
  for (const name of Object.keys(options)) {
    if (!(KNOWN as readonly string[]).includes(name)) {
      throw new OptionRefused(`The sim world has no option "${name}". Known: ${KNOWN.join(', ')}.`);
    }
  }
  const { defect, trainPackets: words = String(DEFAULT_TRAIN) } = options;
  if (defect !== undefined && !Object.hasOwn(DEFECTS, defect)) {
    throw new OptionRefused(`There is no defect "${defect}". Known: ${Object.keys(DEFECTS).join(', ')}.`);
  }
  const trainPackets = Number(words);
  if (!/^\d+$/.test(words) || trainPackets < 1 || trainPackets > LONGEST_TRAIN) {
    throw new OptionRefused(`Option trainPackets is a whole number from 1 to ${LONGEST_TRAIN}, got "${words}".`);
  }
  const granularity = options['granularity'] === undefined ? undefined : phaseGranularity(options['granularity']);
  if (options['granularity'] !== undefined && granularity === undefined)
    throw new OptionRefused(`Option granularity is ${GRANULARITY_WORDS}, got "${options['granularity']}".`);
  const series = options['series'] === undefined ? undefined : readSeries(options['series']);
  return {
    trainPackets,
    ...(defect !== undefined && { defect }),
    ...(granularity && { granularity }),
    ...(series && { series }),
  };
}

const PS_OF = { ns: 1e3, us: 1e6, ms: 1e9, s: 1e12 } as const;

/** `100us` or `100us:a-spine-1/span,b-leaf/up1` */
function readSeries(words: string): NonNullable<SimOptions['series']> {
  const [, count, unit, listed] = /^(\d{1,9}(?:\.\d{1,3})?) ?(ns|us|ms|s)(?::(.+))?$/.exec(words) ?? [];
  const intervalPs = count === undefined ? 0 : Math.round(Number(count) * PS_OF[unit as keyof typeof PS_OF]);
  const ports = listed?.split(',').map(place => {
    const slash = place.indexOf('/');
    return { node: place.slice(0, Math.max(0, slash)), port: place.slice(slash + 1) };
  });
  if (intervalPs < 1 || ports?.some(({ node, port }) => node === '' || port === ''))
    throw new OptionRefused(
      `Option series is an interval and, if not those of the spans, ports: 100us or 100us:SWITCH/PORT,SWITCH/PORT; got "${words}".`,
    );
  return { intervalPs, ...(ports && { ports }) };
}

/**
 * Ports that a series follows: those that were named, else both ends of every span, else those of all switches.
 *
 * @throws OptionRefused for a port that is not there
 */
export function followedPorts(topology: Topology, named: readonly PortRef[] | undefined): readonly PortRef[] {
  const spans = Object.values<Span>(topology.spans).flatMap(({ ends }) => ends);
  const all = [...topology.links.flatMap(({ ends }) => ends), ...spans];
  const switches = new Set(topology.switches.map(({ name }) => name));
  for (const { node, port } of named ?? [])
    if (!all.some(end => end.node === node && end.port === port))
      throw new OptionRefused(
        `Option series: ${node} has no port ${port}. Of a switch, write SWITCH/PORT, such as ${all[0]?.node}/${all[0]?.port}.`,
      );
  return named ?? (spans.length > 0 ? spans : all.filter(({ node }) => switches.has(node)));
}
