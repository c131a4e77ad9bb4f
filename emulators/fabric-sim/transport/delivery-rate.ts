const PER_RTT = 64;
const ENTRIES = 256;

/**
 * Rate at which the network delivers a flow's bytes, sampled per acknowledgement: what was delivered since the acknowledged packet
 * was sent, over the longer of the time in which it was sent and the time in which it was acknowledged
 * (draft-cheng-iccrg-delivery-rate-estimation-02, sections 3.2 and 3.3).
 *
 * It remembers the state at sending for one packet in 1/64 of a round trip, not for each; when the memory is full, for every
 * second of them: an older state only makes the span a little longer. Times in ps.
 */
export class DeliveryRate {
  private readonly sentAtPs = new Float64Array(ENTRIES);
  private readonly deliveredAt = new Float64Array(ENTRIES);
  private readonly deliveredAtPs = new Float64Array(ENTRIES);
  private readonly firstSentAtPs = new Float64Array(ENTRIES);
  private first = 0;
  private entries = 0;
  private spacingPs: number;
  private deliveredBytes = 0;
  private deliveredPs = 0;
  private firstSentPs = 0;
  /** `delivered` when the packet was sent that the last `acknowledged` answered: a round trip has ended when it passes a mark. */
  priorDelivered = 0;

  constructor(baseRttPs: number) {
    this.spacingPs = baseRttPs / PER_RTT;
  }

  /** Bytes delivered so far. */
  get delivered(): number {
    return this.deliveredBytes;
  }

  /** `inFlightBytes` includes the packet. */
  sent(nowPs: number, payloadBytes: number, inFlightBytes: number): void {
    if (inFlightBytes <= payloadBytes) {
      this.firstSentPs = nowPs;
      this.deliveredPs = nowPs;
    } else if (this.entries > 0 && nowPs - (this.sentAtPs[this.at(this.entries - 1)] as number) < this.spacingPs)
      return;
    if (this.entries === ENTRIES) this.thin();
    const at = this.at(this.entries++);
    this.sentAtPs[at] = nowPs;
    this.deliveredAt[at] = this.deliveredBytes;
    this.deliveredAtPs[at] = this.deliveredPs;
    this.firstSentAtPs[at] = this.firstSentPs;
  }

  /** Sample, bit/s; NaN when there is none: no round trip known, or shorter than any that can be (`leastPs`). */
  acknowledged(nowPs: number, bytes: number, rttPs: number, leastPs: number): number {
    this.deliveredBytes += bytes;
    this.deliveredPs = nowPs;
    if (Number.isNaN(rttPs) || this.entries === 0) return Number.NaN;
    const sentPs = nowPs - rttPs;
    while (this.entries > 1 && (this.sentAtPs[this.at(1)] as number) <= sentPs) {
      this.first = this.at(1);
      this.entries--;
    }
    const at = this.first;
    if ((this.sentAtPs[at] as number) > sentPs) return Number.NaN;
    this.priorDelivered = this.deliveredAt[at] as number;
    this.firstSentPs = this.sentAtPs[at] as number;
    const sendingPs = (this.sentAtPs[at] as number) - (this.firstSentAtPs[at] as number);
    const spanPs = Math.max(sendingPs, nowPs - (this.deliveredAtPs[at] as number));
    if (spanPs < leastPs) return Number.NaN;
    return ((this.deliveredBytes - this.priorDelivered) * 8e12) / spanPs;
  }

  private at(index: number): number {
    return (this.first + index) % ENTRIES;
  }

  private thin(): void {
    for (let kept = 0; 2 * kept < this.entries; kept++) {
      const from = this.at(2 * kept);
      const to = this.at(kept);
      this.sentAtPs[to] = this.sentAtPs[from] as number;
      this.deliveredAt[to] = this.deliveredAt[from] as number;
      this.deliveredAtPs[to] = this.deliveredAtPs[from] as number;
      this.firstSentAtPs[to] = this.firstSentAtPs[from] as number;
    }
    this.entries = ENTRIES / 2;
    this.spacingPs *= 2;
  }
}
