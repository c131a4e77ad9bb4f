import { HPCC_DCQCN_100G } from '../../harness/model/fabric-settings.ts';
import type { FabricSettings, Link, Topology } from '../../harness/model/topology.ts';
import type { Distance, Rate, Size } from '../../harness/model/units.ts';
import { magnitude } from '../../harness/model/units.ts';

/** Something wrong with the fabric, planted to see whether a scenario notices. Every part is absent unless the defect needs it. */
export interface Defect {
  /** What is wrong, in one sentence. */
  readonly what: string;
  /** The fabric as built from the fabric as declared. */
  readonly build?: (declared: Topology) => Topology;
  /** Random frame loss of every span, fraction of 1. */
  readonly spanLoss?: number;
  /** Forwarding tables are written once. */
  readonly frozenTables?: boolean;
  /** Only the first port of an ECMP set is used. */
  readonly firstPortOnly?: boolean;
  /** What of a job ignores CNPs: its first flow, or all flows of its first sender. */
  readonly deaf?: 'first flow' | 'first sender';
}

/** What is undefined in a change is as if it had never been declared. */
type Change = { readonly [Key in keyof FabricSettings]?: FabricSettings[Key] | undefined };

const settings =
  (change: (declared: FabricSettings) => Change) =>
  (topology: Topology): Topology => {
    const changed = Object.entries({ ...topology.settings, ...change(topology.settings) });
    const left = Object.fromEntries(changed.filter(([, value]) => value !== undefined)) as unknown as FabricSettings;
    return { ...topology, settings: left };
  };

const bytes = (size: Size, factor: number): Size => `${magnitude(size) * factor} B`;
const metres = (length: Distance, factor: number): Distance => `${magnitude(length) * factor} m`;
const bits = (rate: Rate, factor: number): Rate => `${magnitude(rate) * factor} b/s`;

function slowUplink(topology: Topology): Topology {
  const switches = new Set(topology.switches.map(({ name }) => name));
  const uplink = topology.links.find(({ ends }) => ends.every(({ node }) => switches.has(node)));
  const slowed = (link: Link): Link => (link === uplink ? { ...link, rate: bits(link.rate, 1 / 4) } : link);
  return { ...topology, links: topology.links.map(slowed) };
}

function longSpan(topology: Topology): Topology {
  const spans = Object.entries(topology.spans).map(([name, span]) => [
    name,
    { ...span, length: metres(span.length, 2) },
  ]);
  return { ...topology, spans: Object.fromEntries(spans) };
}

/** Every defect that can be planted, by name. */
export const DEFECTS = {
  'ecn-off': { what: 'No queue marks anything.', build: settings(() => ({ ecn: null })) },
  'ecn-late': {
    what: 'ECN marks begin at sixteen times the declared thresholds.',
    build: settings(({ ecn }) => ({ ecn: ecn && { ...ecn, min: bytes(ecn.min, 16), max: bytes(ecn.max, 16) } })),
  },
  'ecn-eager': {
    what: 'Every packet of the lossless queue is marked, also when no queue stands.',
    // Both thresholds lie below an empty queue.
    build: settings(() => ({ ecn: { min: '-2 B', max: '-1 B', probability: 1 } })),
  },
  'pfc-off': { what: 'No port ever sends a pause.', build: settings(() => ({ pfc: null })) },
  'dcqcn-off': {
    what: 'Every sender stays at line rate whatever comes back.',
    build: settings(() => ({ dcqcn: null })),
  },
  'deaf-sender': { what: 'The first flow of a job ignores CNPs; all others obey.', deaf: 'first flow' },
  'dcqcn-deaf': { what: 'One host ignores CNPs on all its flows; the others obey.', deaf: 'first sender' },
  'slow-failover': {
    what: 'Detection takes 300 ms, a BGP hop 30 ms and a FIB update 70 ms, so failover takes 400 ms.',
    build: settings(({ controlPlane }) => ({
      controlPlane: {
        ...controlPlane,
        lossOfLight: '300 ms',
        bfdInterval: '100 ms',
        bfdMultiplier: 3,
        bgpHop: '30 ms',
        fibUpdate: '70 ms',
      },
    })),
  },
  'no-failover': {
    what: 'Routes are never withdrawn: forwarding tables stay as they were at the start.',
    frozenTables: true,
  },
  'ecmp-polarised': { what: 'Every flow hashes to the first port of its ECMP set.', firstPortOnly: true },
  'slow-uplink': { what: 'The first cable between two switches runs at a quarter of its rate.', build: slowUplink },
  'long-span': { what: 'Every span is twice as long as declared.', build: longSpan },
  'leaky-span': { what: 'Every span loses one frame in five hundred.', spanLoss: 2e-3 },
  'small-buffer': {
    what: 'Switches have a 64th of the declared buffer.',
    build: settings(({ bufferPerSwitch }) => ({ bufferPerSwitch: bytes(bufferPerSwitch, 1 / 64) })),
  },
  'control-ignored': {
    what: 'NICs run DCQCN as it is delivered, whatever congestion control is declared.',
    build: settings(() => ({ dcqcn: HPCC_DCQCN_100G, transport: undefined })),
  },
  'balancing-off': {
    what: 'Switches hash each flow to one path, whatever load balancing is declared.',
    build: settings(({ switching }) => ({ switching: { ...switching, loadBalancing: 'ecmp' } })),
  },
  'spreading-off': {
    what: 'NICs send all packets of a flow with one entropy, whatever spreading is declared.',
    build: settings(({ transport }) => ({ transport: transport && { ...transport, spreading: 'flow' } })),
  },
  'slow-recovery': {
    what: 'A lost packet is sent again only after 1 s.',
    build: settings(({ roce }) => ({ roce: { ...roce, retransmitTimeout: '1 s' } })),
  },
} as const satisfies Readonly<Record<string, Defect>>;

export type DefectName = keyof typeof DEFECTS;

/** @throws RangeError for a name that is not known, with those that are */
export function defectNamed(name: string): Defect {
  if (!Object.hasOwn(DEFECTS, name))
    throw new RangeError(`There is no defect "${name}". Known: ${Object.keys(DEFECTS).join(', ')}.`);
  return DEFECTS[name as DefectName];
}
