import type { FabricSettings } from '../model/topology.ts';
import { magnitude } from '../model/units.ts';

/** BGP withdraws hop by hop; leaf-spine sites joined by spans have no more than this many switches on a path. */
const WITHDRAWAL_HOPS = 4;

/** Retransmission timeouts in a row that a transport may need before its first packet passes again. */
const TIMEOUTS = 4;

/**
 * Added to every budget so that a failover ten times slower than the declared timers is still measured, not cut off: detection,
 * withdrawal and FIB update are tens of milliseconds, a slow BGP implementation needs hundreds. Our choice.
 */
const GRACE_NS = 1e9;

/** Time to lose a path and find another: detection, withdrawal, FIB update and retransmission timeouts as declared, and 1 s of grace. */
export function recoveryBudgetNs({ controlPlane, roce }: FabricSettings): number {
  const bfdNs = magnitude(controlPlane.bfdInterval) * controlPlane.bfdMultiplier;
  const detectionNs = Math.max(magnitude(controlPlane.lossOfLight), bfdNs);
  const routingNs = WITHDRAWAL_HOPS * (magnitude(controlPlane.bgpHop) + magnitude(controlPlane.fibUpdate));
  return detectionNs + routingNs + TIMEOUTS * magnitude(roce.retransmitTimeout) + GRACE_NS;
}
