/** What the sharing needs to know of a flow; the solver writes `shareBps`, `limitedBy` and `sharers`. */
export interface Sharer {
  /** Directed links that carry it, source first. */
  readonly links: readonly number[];
  /** Most that it would send, bit/s on the wire. */
  readonly capBps: number;
  shareBps: number;
  /** The link that is full and holds it back; -1 when its own cap does. */
  limitedBy: number;
  /** Flows that the same link holds back. */
  sharers: number;
}

/**
 * Max-min fair shares by progressive filling (Bertsekas & Gallager, Data Networks, 1992, section 6.5.2): all rates rise together;
 * a flow stops at its cap or when a link of its path is full. Only links and flows that hang together with the given ones are
 * looked at, since nothing else can change.
 *
 * Work is (links x full links) of the component. Ties go to the smaller link number, so the result does not depend on the order of calls.
 */
export class FairShares<S extends Sharer> {
  readonly flowsOn: readonly Set<S>[];
  private readonly capacityBps: Float64Array;
  private readonly leftBps: Float64Array;
  private readonly open: Int32Array;
  private readonly seen: Uint8Array;
  /** Full links of hosts are told from others at equal level: a NIC paces its own flows, so it is asked first. */
  private readonly isHost: Uint8Array;

  constructor({ capacityBps, isHost }: { readonly capacityBps: Float64Array; readonly isHost: Uint8Array }) {
    const links = capacityBps.length;
    this.capacityBps = capacityBps;
    this.isHost = isHost;
    this.flowsOn = Array.from({ length: links }, () => new Set<S>());
    this.leftBps = new Float64Array(links);
    this.open = new Int32Array(links);
    this.seen = new Uint8Array(links);
  }

  add(flow: S): void {
    for (const link of flow.links) (this.flowsOn[link] as Set<S>).add(flow);
  }

  remove(flow: S): void {
    for (const link of flow.links) (this.flowsOn[link] as Set<S>).delete(flow);
  }

  /** New shares for everything connected with `links`; gives the flows that were looked at. `taken` is what the link carries besides, bit/s. */
  solve(links: Iterable<number>, taken: Float64Array): readonly S[] {
    const { seen, flowsOn, leftBps, open, capacityBps } = this;
    const component: number[] = [];
    const flows: S[] = [];
    const reached = new Set<S>();
    const reach = (link: number): void => {
      if (seen[link] === 1) return;
      seen[link] = 1;
      component.push(link);
    };
    for (const link of links) reach(link);
    for (let i = 0; i < component.length; i++) {
      for (const flow of flowsOn[component[i] as number] as Set<S>) {
        if (reached.has(flow)) continue;
        reached.add(flow);
        flows.push(flow);
        for (const link of flow.links) reach(link);
      }
    }
    component.sort((a, b) => a - b);
    for (const link of component) {
      seen[link] = 0;
      // Best effort traffic takes turns with the flows, so it never takes more than half of a link from them.
      const capacity = capacityBps[link] as number;
      leftBps[link] = capacity - Math.min(taken[link] as number, capacity / 2);
      open[link] = (flowsOn[link] as Set<S>).size;
    }
    const byCap = flows.toSorted((a, b) => a.capBps - b.capBps);
    const settled = new Set<S>();
    const settle = (flow: S, shareBps: number, limitedBy: number, sharers: number): void => {
      settled.add(flow);
      flow.shareBps = shareBps;
      flow.limitedBy = limitedBy;
      flow.sharers = sharers;
      for (const link of flow.links) {
        leftBps[link] = Math.max(0, (leftBps[link] as number) - shareBps);
        open[link] = (open[link] as number) - 1;
      }
    };
    let nextCap = 0;
    let loaded = component.filter(link => (open[link] as number) > 0);
    while (settled.size < flows.length) {
      let level = Number.POSITIVE_INFINITY;
      let full = -1;
      for (const link of loaded) {
        const share = (leftBps[link] as number) / (open[link] as number);
        // Within a rounding error of each other two links are full at once.
        const nearly = full >= 0 && Math.abs(share - level) <= 1e-9 * level;
        if (nearly ? this.isHost[link] === 1 && this.isHost[full] === 0 : share < level) {
          level = nearly ? level : share;
          full = link;
        }
      }
      while (nextCap < byCap.length && settled.has(byCap[nextCap] as S)) nextCap++;
      const least = byCap[nextCap] as S;
      if (least.capBps <= level) settle(least, least.capBps, -1, 1);
      else {
        const held = [...(flowsOn[full] as Set<S>)].filter(flow => !settled.has(flow));
        for (const flow of held) settle(flow, level, full, held.length);
      }
      loaded = loaded.filter(link => (open[link] as number) > 0);
    }
    return flows;
  }
}
