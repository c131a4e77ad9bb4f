/**
 * Least times of collectives over two or more sites, from sizes, rates and delays alone. Rates are bit/s of payload, times seconds.
 * The rooflines that a run is judged by stand in `harness/loads` and are taken from a topology (max-flow); these forms need none,
 * and add `alphaS`, the fixed cost of a step (switches, NIC, kernel launch), which a roofline leaves out.
 */
export interface SiteRing {
  /** The buffer on each rank (nccl-tests "size"). */
  readonly bytes: number;
  readonly ranks: number;
  readonly nicBps: number;
  readonly alphaS: number;
}

const transferS = (bytes: number, rateBps: number): number => (8 * bytes) / rateBps;

/** Ring all-reduce inside one site: 2 [(n-1) alpha + S (n-1)/(n B)] (Thakur, Rabenseifner, Gropp, IJHPCA 19(1), 2005). */
export const siteRingS = ({ bytes, ranks, nicBps, alphaS }: SiteRing): number =>
  2 * (ranks - 1) * (alphaS + transferS(bytes / ranks, nicBps));

/**
 * Hierarchical all-reduce of K sites with n ranks each: reduce-scatter in the site, ring all-reduce of the shards between sites
 * over an egress of X that they share, all-gather in the site: siteRing + 2 (K-1) RTT/2 + 2 (K-1)/K S/X. K = 2: RTT + S/X.
 */
export const hierarchicalS = (
  ring: SiteRing,
  { sites, egressBps, rttS }: { readonly sites: number; readonly egressBps: number; readonly rttS: number },
): number => siteRingS(ring) + (sites - 1) * rttS + ((2 * (sites - 1)) / sites) * transferS(ring.bytes, egressBps);

/** Flat ring of all ranks with two site crossings, chunks pipelined: 2 (N-1)(alpha + S/(N B)) + 4 OWD; a chunk crosses four times. */
export const flatRingS = (ring: SiteRing, { rttS }: { readonly rttS: number }): number => siteRingS(ring) + 2 * rttS;

/** The same with a barrier after each step, so that each waits for the crossing: 2 (N-1)(OWD + S/(N B)). An upper bound. */
export const flatRingBarrierS = (
  { bytes, ranks, nicBps }: Omit<SiteRing, 'alphaS'>,
  { rttS }: { readonly rttS: number },
): number => 2 * (ranks - 1) * (rttS / 2 + transferS(bytes / ranks, nicBps));

/** Ring of one message a stage over K data centers: (2K - 2)(C + mu), mu what reliability adds to a stage (SDR-RDMA, appendix C). */
export const siteStagesS = ({
  sites,
  stageS,
  reliabilityS,
}: {
  readonly sites: number;
  readonly stageS: number;
  readonly reliabilityS: number;
}): number => (2 * sites - 2) * (stageS + reliabilityS);

/** One NCCL channel keeps a buffer in flight: NCCL_BUFFSIZE / RTT, bit/s. 4 MiB by default. */
export const channelBps = ({ bufferBytes = 4 * 2 ** 20, rttS }: { bufferBytes?: number; rttS: number }): number =>
  transferS(bufferBytes, 1) / rttS;

/** Channels that fill a rate. */
export const channelsFor = (rateBps: number, channel: { bufferBytes?: number; rttS: number }): number =>
  Math.ceil(rateBps / channelBps(channel));

/** Communication that computing does not hide: max(0, T_comm - T_overlap). */
export const exposedS = ({ commS, overlapS }: { readonly commS: number; readonly overlapS: number }): number =>
  Math.max(0, commS - overlapS);

/** T_single/(T_single + exposed), a fraction. */
export const scalingEfficiency = (singleS: number, exposed: number): number => singleS / (singleS + exposed);
