import type { PortRef, Topology } from '../../../harness/model/topology.ts';
import { magnitude } from '../../../harness/model/units.ts';
import { spanAsymmetryPs } from '../fabric/propagation.ts';

/** Group index of G.652 fibre at 1550 nm, 1.4682: 4897.4 ps per metre. */
export const PS_PER_METRE = (1.4682 / 299_792_458) * 1e12;

/** One end of a wire, as the switch or host there sees it. */
export interface Side {
  readonly node: string;
  readonly port: string;
  readonly isSwitch: boolean;
  readonly wire: Wire;
  readonly index: 0 | 1;
  adminUp: boolean;
  operUp: boolean;
  lastChangePs: number;
  /** Frames from the far end arrive; BFD watches this. */
  hears: boolean;
  /** Counts the changes of `hears`, so that a timer knows whether it is out of date. */
  hearing: number;
  established: boolean;
  sincePs: number;
}

/** A link or a span: two sides and what lies between. */
export interface Wire {
  readonly kind: 'link' | 'span';
  readonly name: string;
  readonly rateBps: number;
  /** Propagation away from each side. */
  readonly delayPs: readonly [number, number];
  readonly sides: readonly [Side, Side];
  /** Both ends send and both directions carry light. */
  good: boolean;
  /** Counts the changes of `good`. */
  lighting: number;
  /** Counts openings and closings of the session; messages of an older one are void. */
  session: number;
  /** Session opening in progress, void when this is not the number it started with; -1 for none. */
  opening: number;
}

export const farSide = (side: Side): Side => side.wire.sides[side.index === 0 ? 1 : 0];

/** Every cable of a topology, links first, in the topology's order: the order in which ECMP indexes ports. */
export function wiresOf(topology: Topology): readonly Wire[] {
  const switches = new Set(topology.switches.map(({ name }) => name));
  return [...topology.links, ...Object.values(topology.spans)].map(cable => {
    const side = (wire: Wire, { node, port }: PortRef, index: 0 | 1): Side => ({
      node,
      port,
      isSwitch: switches.has(node),
      wire,
      index,
      adminUp: true,
      operUp: true,
      lastChangePs: 0,
      hears: true,
      hearing: 0,
      established: false,
      sincePs: 0,
    });
    const sides: Side[] = [];
    const delayPs = Math.round(magnitude(cable.length) * PS_PER_METRE);
    const wire: Wire = {
      kind: cable.kind,
      name: cable.name,
      rateBps: magnitude(cable.rate),
      delayPs: [delayPs + (cable.kind === 'span' ? spanAsymmetryPs(cable) : 0), delayPs],
      sides: sides as unknown as readonly [Side, Side],
      good: true,
      lighting: 0,
      session: 0,
      opening: -1,
    };
    sides.push(side(wire, cable.ends[0], 0), side(wire, cable.ends[1], 1));
    return wire;
  });
}
