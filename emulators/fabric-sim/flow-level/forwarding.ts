import { ecmpChoice, switchSeed } from '../fabric/ecmp-hash.ts';
import type { Wiring } from '../fabric/wiring.ts';

/** The way that packets of one hash take with today's tables, as far as they come. */
export interface Way {
  /** Egress ports that put them on a wire, source first. */
  readonly links: readonly number[];
  /** They reach the target. */
  readonly whole: boolean;
  /** Port in whose drop counter they end; -1 when none. */
  readonly dropPort: number;
  /** Span direction that swallows them; -1 when none. */
  readonly lostSpan: number;
  /** From the first bit sent to the end of the way, without serialisation, ps. */
  readonly delayPs: number;
  /** Store-and-forward after the first link: ps per byte of a packet. */
  readonly forwardPsPerByte: number;
  /** Random loss on the way, fraction of 1. */
  readonly loss: number;
  /** The span direction with random loss that comes first; -1 when none. */
  readonly lossySpan: number;
}

/** Forwarding tables, port and span states of a network without queues: the same tables, hash and seeds as the packet engine. */
export class Forwarding {
  readonly wiring: Wiring;
  readonly forwarding: Uint8Array;
  readonly spanPassing: Uint8Array;
  readonly spanLight: Uint8Array;
  readonly spanLoss: Float64Array;
  readonly spanPort: Int32Array;
  /** Rises with every change: what was computed under an older number may be wrong. */
  epoch = 0;
  private readonly tables: (readonly number[] | undefined)[];
  private readonly seeds: Int32Array;

  constructor(wiring: Wiring, seed: number) {
    this.wiring = wiring;
    this.forwarding = new Uint8Array(wiring.node.length).fill(1);
    const directions = wiring.spans.length * 2;
    this.spanPassing = new Uint8Array(directions).fill(1);
    this.spanLight = new Uint8Array(directions).fill(1);
    this.spanLoss = new Float64Array(directions);
    this.spanPort = Int32Array.from({ length: directions }, (_, span) => wiring.spanDirection.indexOf(span));
    this.seeds = Int32Array.from({ length: wiring.nodes.length }, (_, node) => switchSeed(seed, node));
    this.tables = Array.from({ length: wiring.nodes.length * wiring.hosts });
    for (let host = 0; host < wiring.hosts; host++)
      this.tables.fill(wiring.portsOf[host] as readonly number[], host * wiring.hosts, (host + 1) * wiring.hosts);
  }

  setRoute(node: number, target: number, ports: readonly number[]): boolean {
    const at = node * this.wiring.hosts + target;
    if ((this.tables[at] ?? []).join() === ports.join()) return false;
    this.tables[at] = ports;
    this.epoch++;
    return true;
  }

  route(node: number, target: number): readonly number[] {
    return this.tables[node * this.wiring.hosts + target] ?? [];
  }

  egress(node: number, target: number, hash: number): number {
    const ports = this.route(node, target);
    if (ports.length < 2) return ports[0] ?? -1;
    return ports[ecmpChoice(hash, this.seeds[node] as number, ports.length)] as number;
  }

  passes(span: number): boolean {
    return this.spanPassing[span] === 1 && (this.spanLoss[span] as number) < 1;
  }

  /** Where packets go now. A loop in the tables ends at as many hops as there are nodes; what runs in it is lost. */
  way(source: number, target: number, hash: number): Way {
    const { wiring, forwarding } = this;
    const links: number[] = [];
    let delayPs = 0;
    let forwardPsPerByte = 0;
    let pass = 1;
    let lossySpan = -1;
    const ended = (end: Partial<Pick<Way, 'whole' | 'dropPort' | 'lostSpan'>>): Way => ({
      links,
      whole: false,
      dropPort: -1,
      lostSpan: -1,
      delayPs,
      forwardPsPerByte,
      loss: 1 - pass,
      lossySpan,
      ...end,
    });
    let node = source;
    let from = -1;
    while (links.length <= wiring.nodes.length) {
      const port = this.egress(node, target, hash);
      if (port < 0) return ended({ dropPort: from });
      if (forwarding[port] === 0) return ended({ dropPort: port });
      if (links.length > 0) forwardPsPerByte += wiring.psPerByte[port] as number;
      links.push(port);
      delayPs += wiring.delayPs[port] as number;
      const span = wiring.spanDirection[port] as number;
      if (span >= 0) {
        if (!this.passes(span)) return ended({ lostSpan: span });
        const loss = this.spanLoss[span] as number;
        if (loss > 0 && lossySpan < 0) lossySpan = span;
        pass *= 1 - loss;
      }
      const far = wiring.peer[port] as number;
      if (forwarding[far] === 0) return ended({ dropPort: far });
      node = wiring.node[far] as number;
      if (node === target) return ended({ whole: true });
      if (node < wiring.hosts) return ended({ dropPort: far });
      from = far;
    }
    return ended({});
  }

  /**
   * How long before now packets must have been sent to have passed, already, the first place where two ways differ, ps: what is on a
   * fibre that goes dark is lost with it.
   */
  lagPs(before: Way, after: Way, packetBytes: number): number {
    const { delayPs, psPerByte } = this.wiring;
    let lag = 0;
    for (let i = 0; i < Math.min(before.links.length, after.links.length); i++) {
      const link = after.links[i] as number;
      if (link !== before.links[i]) break;
      // Healed here: what arrives from now on passes.
      if (!before.whole && i === before.links.length - 1) break;
      const darkens = !after.whole && i === after.links.length - 1 && after.lostSpan >= 0;
      // Certain random loss takes a packet as it is sent; a cut also what is on the fibre.
      if (darkens && this.spanPassing[after.lostSpan] === 1) break;
      lag += (delayPs[link] as number) + (psPerByte[link] as number) * packetBytes;
    }
    return Math.round(lag);
  }
}
