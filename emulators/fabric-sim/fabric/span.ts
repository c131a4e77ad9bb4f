import { Random } from '../kernel/random.ts';
import { COUNT, DATA, KIND_MASK, META, PACKET_SHIFT, type Packets, PAYLOAD_BYTES, WIRE_BYTES } from './packets.ts';
import type { Ports } from './ports.ts';
import { GAP_BYTES } from './wire-size.ts';
import type { Wiring } from './wiring.ts';

export interface SpansOptions {
  readonly ports: Ports;
  readonly packets: Packets;
  readonly wiring: Wiring;
  readonly seed: number;
  readonly fullWireBytes: number;
}

/**
 * What a long-haul fibre does to packets besides delaying them. Indexed by span direction (span x 2, + 1 for b to a).
 *
 * - **Cut**: nothing passes; light may still be seen (a silent failure).
 * - **Loss**: independent per packet with one probability: the run until the next lost packet is drawn geometrically, so a fibre
 *   without loss costs one comparison.
 * - **Loss by count**: every n-th data packet, for comparisons with laws that assume it (RFC 9438, section 5.1).
 * - **Bit errors**: after FEC, independent, with one ratio: p = 1 - (1 - BER)^(8 bytes) for a frame, so long packets are lost more often
 *   (textbook; `theory/optics.ts`). The run of good bits until the next wrong one is drawn geometrically and frames use it up.
 * - **Jitter**: a delay of its own for each packet, uniform in 0..2 x mean; order is kept (a fibre is a FIFO), so a packet may wait
 *   for the one before it.
 * - **Reordering**: each packet (train) takes, with one probability, a way that is longer by a fixed delay, and may be overtaken by those
 *   that do not (see `overtaken.ts`).
 *
 * What a train loses, it loses from the first lost packet on. PFC frames and whatever the control plane says are not impaired.
 */
export class Spans {
  readonly passing: Uint8Array;
  readonly light: Uint8Array;
  readonly loss: Float64Array;
  readonly carried: Float64Array;
  readonly lost: Float64Array;
  /** Extra delay of packets that stray, ps. */
  readonly strayPs: Float64Array;
  private readonly jitterPs: Float64Array;
  private readonly lossRun: Float64Array;
  private readonly bitErrors: Float64Array;
  /** Good bits before the next wrong one. */
  private readonly bitRun: Float64Array;
  private readonly strays: Float64Array;
  private readonly strayDice: Random[];
  /** Every so many data packets one is lost, 0 for none; and how many have come since the last. */
  private readonly every: Float64Array;
  private readonly since: Float64Array;
  private readonly dice: Random[];
  private readonly options: SpansOptions;

  constructor(options: SpansOptions) {
    this.options = options;
    const directions = options.wiring.spans.length * 2;
    this.passing = new Uint8Array(directions).fill(1);
    this.light = new Uint8Array(directions).fill(1);
    this.loss = new Float64Array(directions);
    this.carried = new Float64Array(directions);
    this.lost = new Float64Array(directions);
    this.jitterPs = new Float64Array(directions);
    this.lossRun = new Float64Array(directions).fill(Number.POSITIVE_INFINITY);
    this.bitErrors = new Float64Array(directions);
    this.bitRun = new Float64Array(directions).fill(Number.POSITIVE_INFINITY);
    this.strays = new Float64Array(directions);
    this.strayPs = new Float64Array(directions);
    this.every = new Float64Array(directions);
    this.since = new Float64Array(directions);
    this.dice = Array.from({ length: directions }, (_, i) => new Random(options.seed, 1000 + i));
    this.strayDice = Array.from({ length: directions }, (_, i) => new Random(options.seed, 2_000_000 + i));
  }

  setLoss(span: number, loss: number): void {
    this.loss[span] = loss;
    this.lossRun[span] = (this.dice[span] as Random).runLength(loss);
  }

  /** Loses every n-th data packet from now on; 0 for none. */
  setLossEvery(span: number, every: number): void {
    this.every[span] = every;
    this.since[span] = 0;
  }

  /** Bit error ratio after FEC. */
  setBer(span: number, ber: number): void {
    this.bitErrors[span] = ber;
    this.bitRun[span] = (this.dice[span] as Random).runLength(ber);
  }

  ber(span: number): number {
    return this.bitErrors[span] as number;
  }

  /** Share of packets that take the longer way. */
  setStrayShare(span: number, share: number): void {
    this.strays[span] = share;
  }

  strayShare(span: number): number {
    return this.strays[span] as number;
  }

  /** Whether the next packet takes the longer way. */
  isStray(span: number): boolean {
    const share = this.strays[span] as number;
    return share !== 0 && (this.strayDice[span] as Random).fraction() < share;
  }

  /** Packets of the train that come before the one with the next wrong bit. */
  private passByBits(span: number, packet: number, count: number): number {
    const { ints } = this.options.packets;
    const at = packet << PACKET_SHIFT;
    const wire = (ints[at + WIRE_BYTES] as number) / (ints[at + COUNT] as number);
    const bits = 8 * Math.max(1, wire - GAP_BYTES);
    const run = this.bitRun[span] as number;
    if (run >= bits * count) {
      this.bitRun[span] = run - bits * count;
      return count;
    }
    this.bitRun[span] = (this.dice[span] as Random).runLength(this.bitErrors[span] as number);
    return Math.floor(run / bits);
  }

  lossEvery(span: number): number {
    return this.every[span] as number;
  }

  /** Packets of the train that come before the next one that is lost by count; all of them when none is. */
  private passByCount(span: number, count: number): number {
    const left = (this.every[span] as number) - 1 - (this.since[span] as number);
    if (count <= left) {
      this.since[span] = (this.since[span] as number) + count;
      return count;
    }
    this.since[span] = 0; // what follows in the train is lost with it
    return left;
  }

  /** Mean of the extra delay, ps. */
  setJitter(span: number, meanPs: number): void {
    this.jitterPs[span] = meanPs;
  }

  jitterMeanPs(span: number): number {
    return this.jitterPs[span] as number;
  }

  /** Extra delay of the next packet, ps. */
  jitter(span: number): number {
    const mean = this.jitterPs[span] as number;
    return mean === 0 ? 0 : Math.round(2 * mean * (this.dice[span] as Random).fraction());
  }

  /**
   * Packets of the train that pass. A train is cut off at its first lost packet and made shorter: go-back-N throws the rest of it
   * away anyhow.
   */
  pass(span: number, packet: number): number {
    const { ints } = this.options.packets;
    const at = packet << PACKET_SHIFT;
    const count = ints[at + COUNT] as number;
    this.carried[span] = (this.carried[span] as number) + count;
    let pass = this.passing[span] === 1 ? count : 0;
    const run = this.lossRun[span] as number;
    if (pass > 0 && run < count) {
      pass = run;
      this.lossRun[span] = (this.dice[span] as Random).runLength(this.loss[span] as number);
    } else if (pass > 0) this.lossRun[span] = run - count;
    if (pass > 0 && this.bitErrors[span] !== 0) pass = this.passByBits(span, packet, pass);
    if ((this.every[span] as number) > 0 && pass > 0 && ((ints[at + META] as number) & KIND_MASK) === DATA)
      pass = Math.min(pass, this.passByCount(span, pass));
    if (pass === count) return count;
    this.lost[span] = (this.lost[span] as number) + count - pass;
    if (pass > 0) {
      // All packets but a message's last are full, and the last one is never among the survivors of a cut train.
      const { fullWireBytes } = this.options;
      const fullPayload = Math.ceil((ints[at + PAYLOAD_BYTES] as number) / count);
      const overhead = ((ints[at + WIRE_BYTES] as number) - (ints[at + PAYLOAD_BYTES] as number)) / count;
      ints[at + COUNT] = pass;
      ints[at + WIRE_BYTES] = fullWireBytes * pass;
      ints[at + PAYLOAD_BYTES] = Math.max(fullPayload, fullWireBytes - overhead) * pass;
    }
    return pass;
  }
}
