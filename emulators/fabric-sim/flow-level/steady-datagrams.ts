import type { DatagramStream } from '../fabric/network.ts';
import type { Way } from './forwarding.ts';

/** Datagrams sent from one instant on and their common fate. */
interface Stretch {
  readonly fromPs: number;
  readonly way: Way;
}

export interface DatagramHost {
  now(): number;
  /** Brings ways up to the present. */
  refresh(): void;
  carried(way: Way, sent: { readonly packets: number; readonly lost: number }): void;
}

/**
 * Constant-rate UDP, counted, not sent: datagram k leaves at start + k x 10^12 / rate, as in the packet engine, and its fate is that of the
 * way in force when it comes to the place where the way changed. Queues are not modelled, so its delay is propagation and serialisation.
 * Of random loss the expected number is taken, not a draw.
 */
export class SteadyDatagrams implements DatagramStream {
  readonly source: number;
  readonly target: number;
  readonly hash: number;
  readonly wireBytes: number;
  readonly packetsPerSecond: number;
  private readonly host: DatagramHost;
  private readonly startPs: number;
  private readonly firstLinkPsPerByte: number;
  private stoppedPs = Number.POSITIVE_INFINITY;
  /** Oldest first; those before are counted. */
  private stretches: Stretch[] = [];
  private foldedReceived = 0;
  private carriedUpTo = 0;
  private lossDebt = 0;
  private lostOfLive = 0;

  constructor(
    host: DatagramHost,
    facts: Pick<SteadyDatagrams, 'source' | 'target' | 'hash' | 'wireBytes' | 'packetsPerSecond'> & {
      readonly firstLinkPsPerByte: number;
    },
  ) {
    this.host = host;
    this.source = facts.source;
    this.target = facts.target;
    this.hash = facts.hash;
    this.wireBytes = facts.wireBytes;
    this.packetsPerSecond = facts.packetsPerSecond;
    this.firstLinkPsPerByte = facts.firstLinkPsPerByte;
    this.startPs = host.now();
  }

  get stopped(): boolean {
    return this.stoppedPs !== Number.POSITIVE_INFINITY;
  }

  get rateBps(): number {
    return this.stopped ? 0 : this.packetsPerSecond * this.wireBytes * 8;
  }

  get way(): Way | undefined {
    return this.stretches.at(-1)?.way;
  }

  sent(): number {
    return this.sentBefore(this.host.now() + 1);
  }

  received(): number {
    this.host.refresh();
    this.settle();
    const nowPs = this.host.now();
    let received = this.foldedReceived;
    for (const [i, { way }] of this.stretches.entries()) {
      if (!way.whole) continue;
      const came = this.between(i, this.sentBefore(nowPs - this.latencyPs(way) + 1));
      received += came;
    }
    return received - Math.min(this.lostOfLive, received);
  }

  get underWay(): number {
    const nowPs = this.host.now();
    let under = 0;
    for (const [i, { way }] of this.stretches.entries())
      if (way.whole)
        under +=
          this.between(i, this.sentBefore(nowPs + 1)) -
          this.between(i, this.sentBefore(nowPs - this.latencyPs(way) + 1));
    return under;
  }

  stop(): void {
    if (this.stopped) return;
    this.host.refresh();
    this.settle();
    // What is due at this very instant has left.
    this.stoppedPs = this.host.now() + 1;
  }

  /** The way is another one for those sent from `lagPs` ago on. */
  reroute(way: Way, lagPs: number): void {
    this.settle();
    const fromPs = Math.max(this.startPs, this.host.now() - lagPs);
    while (this.stretches.length > 1 && (this.stretches.at(-1) as Stretch).fromPs >= fromPs) this.stretches.pop();
    if (this.stretches.length === 1 && (this.stretches[0] as Stretch).fromPs >= fromPs) this.stretches.pop();
    this.stretches.push({ fromPs, way });
    this.fold();
  }

  /** Counts what has been sent since the last time on the links of the way. */
  settle(): void {
    const sent = this.sent();
    const fresh = sent - this.carriedUpTo;
    const { way } = this;
    if (fresh <= 0 || way === undefined) return;
    this.carriedUpTo = sent;
    this.lossDebt += way.whole ? fresh * way.loss : 0;
    const lost = Math.floor(this.lossDebt);
    this.lossDebt -= lost;
    this.lostOfLive += lost;
    this.host.carried(way, { packets: fresh, lost });
  }

  /** Datagrams that leave before this instant. */
  private sentBefore(ps: number): number {
    const until = Math.min(ps, this.stoppedPs);
    if (until <= this.startPs) return 0;
    const every = 1e12 / this.packetsPerSecond;
    let k = Math.ceil((until - this.startPs) / every);
    // Instants are rounded to 1 ps.
    while (k > 0 && Math.round((k - 1) * every) >= until - this.startPs) k--;
    while (Math.round(k * every) < until - this.startPs) k++;
    return k;
  }

  /** Of stretch `i`, those with a number below `below`. */
  private between(i: number, below: number): number {
    const from = this.sentBefore((this.stretches[i] as Stretch).fromPs);
    const next = this.stretches[i + 1];
    const to = next === undefined ? Number.POSITIVE_INFINITY : this.sentBefore(next.fromPs);
    return Math.max(0, Math.min(to, below) - from);
  }

  private latencyPs(way: Way): number {
    return Math.round(way.delayPs + (way.forwardPsPerByte + this.firstLinkPsPerByte) * this.wireBytes);
  }

  /** Stretches whose datagrams have all arrived need not be kept. */
  private fold(): void {
    while (this.stretches.length > 2) {
      const [first, second] = this.stretches as [Stretch, Stretch];
      const over = this.host.now() - (first.way.whole ? this.latencyPs(first.way) : 0);
      if (second.fromPs > over - 1) return;
      // Lag never reaches back further than the way is long.
      if (second.fromPs > this.host.now() - 2 * this.latencyPs(first.way) - 1) return;
      const all = this.between(0, Number.POSITIVE_INFINITY);
      if (first.way.whole) this.foldedReceived += all;
      this.stretches.shift();
    }
  }
}
