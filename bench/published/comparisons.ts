import type { Comparison } from './comparison.ts';
import { cubicPackets } from './cubic-packets.ts';
import { selectiveRepeatLoss } from './selective-repeat.ts';
import { collectiveRuns } from './collective-runs.ts';
import { collectives } from './collectives.ts';
import { dcqcnDistance } from './dcqcn-distance.ts';
import { dcqcnPackets } from './dcqcn-packets.ts';
import { dcqcnStability } from './dcqcn-stability.ts';
import { hpccFork } from './hpcc-fork.ts';
import { queueingPackets } from './queueing-packets.ts';
import { htsimRoce } from './htsim-roce.ts';
import { lawFixedPoints } from './law-fixed-points.ts';
import { optics } from './optics.ts';
import { pfcBound } from './pfc-bound.ts';
import { physicsPackets } from './physics-packets.ts';
import { pfcHeadroom } from './pfc-headroom.ts';
import { retransmission } from './retransmission.ts';
import { rfc6349 } from './rfc-6349.ts';
import { rfc9438 } from './rfc-9438.ts';
import { sdrRdma } from './sdr-rdma.ts';
import { uec } from './uec.ts';
import { themis } from './themis.ts';

/** Cheap ones, in the order of the page. One line each: two people may append at once. */
export const comparisons: readonly Comparison[] = [
  sdrRdma,
  rfc9438,
  rfc6349,
  dcqcnStability,
  dcqcnDistance,
  pfcHeadroom,
  optics,
  retransmission,
  collectives,
  collectiveRuns,
  selectiveRepeatLoss,
  cubicPackets,
  queueingPackets,
  pfcBound,
  dcqcnPackets,
  lawFixedPoints,
  physicsPackets,
  //
];

/** Those of ten CPU seconds and more, and whose rows throw dice: a test of their own, and the page is not held against them. */
export const heavyComparisons: readonly Comparison[] = [
  htsimRoce(),
  hpccFork(),
  themis({ load: 30, trainPackets: 8 }),
  themis({ load: 50, trainPackets: 8 }),
  themis({ load: 70, trainPackets: 8 }),
  uec,
  //
];

/** For the page only: no test has the minutes. The other loads packet by packet: bench/themis.ts. */
export const pageComparisons: readonly Comparison[] = [
  themis({ load: 30 }),
  //
];
