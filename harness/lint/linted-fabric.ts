import type { ControlPlaneSettings, FabricSettings, PfcSettings, PortRef, Topology } from '../model/topology.ts';
import { magnitude } from '../model/units.ts';

/** A port by the names of whoever declared the cable: a topology, or an inventory. */
export interface CableEnd {
  readonly device: string;
  readonly port: string;
}

export interface LintedCable {
  readonly kind: 'link' | 'span';
  readonly name: string;
  readonly ends: readonly [CableEnd, CableEnd];
  readonly rateBps: number;
  readonly metres: number;
  /** What the way from the first end to the second takes longer than the way back, ns. */
  readonly asymmetryNs: number;
  /** The box that plays the span, where one does. `reversed`: its first interface looks to the span's second end. */
  readonly box?: { readonly device: string; readonly reversed: boolean };
}

/** What is declared of a fabric. Absent: nobody said it. Null: it is declared to be off. */
export type DeclaredSettings = Partial<Omit<FabricSettings, 'controlPlane' | 'pfc'>> & {
  readonly controlPlane?: Partial<ControlPlaneSettings>;
  /** Devices show whether and with which headroom, and not their thresholds. */
  readonly pfc?: Partial<PfcSettings> | null;
};

/** What lint looks at: cables with length and rate, who stands where, and what is declared. */
export interface LintedFabric {
  readonly name: string;
  readonly spans: readonly LintedCable[];
  readonly links: readonly LintedCable[];
  readonly switches: readonly string[];
  /** Site of every switch and host. */
  readonly siteOf: ReadonlyMap<string, string>;
  readonly hosts: ReadonlySet<string>;
  readonly settings: DeclaredSettings;
}

/** A topology as a scenario declares it. */
export function fabricOf(topology: Topology): LintedFabric {
  const end = ({ node, port }: PortRef): CableEnd => ({ device: node, port });
  const cable = ({ kind, name, ends, rate, length }: Topology['links'][number] | Topology['spans'][string]) => ({
    kind,
    name,
    ends: [end(ends[0]), end(ends[1])] as const,
    rateBps: magnitude(rate),
    metres: magnitude(length),
    asymmetryNs: 0,
  });
  return {
    name: topology.name,
    spans: Object.values(topology.spans).map(span => ({
      ...cable(span),
      asymmetryNs: span.asymmetry === undefined ? 0 : magnitude(span.asymmetry),
    })),
    links: topology.links.map(cable),
    switches: topology.switches.map(({ name }) => name),
    siteOf: new Map([...topology.switches, ...topology.hosts].map(({ name, site }) => [name, site])),
    hosts: new Set(topology.hosts.map(({ name }) => name)),
    settings: topology.settings,
  };
}

/** Rate of the fastest cable that ends at a host, bit/s: what one NIC wants of the fabric. Undefined without hosts. */
export function hostRateBps({ links, hosts }: Pick<LintedFabric, 'links' | 'hosts'>): number | undefined {
  const rates = links.filter(({ ends }) => ends.some(({ device }) => hosts.has(device))).map(({ rateBps }) => rateBps);
  return rates.length === 0 ? undefined : Math.max(...rates);
}
