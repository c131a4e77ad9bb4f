import { HPCC_DCQCN_100G, HPCC_ECN_100G } from './fabric-settings.ts';
import type { FabricSettings } from './topology.ts';
import { magnitude } from './units.ts';

/**
 * Why flow level can not play a fabric with these settings; undefined when it can. It has one path a flow, no queues and go-back-N: where
 * packets of a flow take several paths, lose their payload or are repeated one by one, its rates would be of another fabric.
 */
export function flowLevelRefusal({ switching, transport }: FabricSettings): string | undefined {
  const { loadBalancing = 'ecmp', trimTo } = switching ?? {};
  if (loadBalancing !== 'ecmp')
    return `Flow level gives each flow one path; ${loadBalancing} load balancing is one of packets.`;
  if (trimTo !== undefined) return 'Flow level has no queues, so nothing that trims packets can be seen there.';
  const { spreading = 'flow', recovery = 'go-back-n' } = transport ?? {};
  if (spreading !== 'flow') return `Flow level gives each flow one path; ${spreading} spreading is one of packets.`;
  return recovery === 'go-back-n' ? undefined : `Flow level knows what go-back-N costs, not ${recovery}.`;
}

/**
 * Whether the share that flows reach of a full link was measured for these settings (`bench/flow-correction.ts`); where it was not, flow level
 * takes it whole. Without congestion control PFC keeps links full, and it is whole.
 */
export function flowShareIsMeasured({ dcqcn, ecn, roce, transport }: FabricSettings): boolean {
  if (transport !== undefined) return transport.control === 'none';
  if (dcqcn === null) return true;
  return same(dcqcn, HPCC_DCQCN_100G) && same(ecn, HPCC_ECN_100G) && magnitude(roce.mtu) === 4096;
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
