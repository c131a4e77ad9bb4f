import { createNetwork } from '../../emulators/fabric-sim/fabric/create-network.ts';
import type { Flow, Network } from '../../emulators/fabric-sim/fabric/network.ts';
import { DEFAULT_FABRIC } from '../../harness/model/fabric-settings.ts';
import type { FabricSettings, Topology } from '../../harness/model/topology.ts';
import type { Rate } from '../../harness/model/units.ts';

export interface LossyLine {
  readonly rate: Rate;
  /** There and back, ps. */
  readonly rttPs: number;
  readonly roce: FabricSettings['roce'];
  readonly transport: NonNullable<FabricSettings['transport']>;
  /** Random loss of what `a` sends, fraction of 1; or every n-th of its packets. */
  readonly loss?: number;
  readonly lossEvery?: number;
  readonly seed?: number;
}

/** Two hosts `a` and `b` on one long fibre `line`, no switch; `a` sends without end. */
export function lossyLine(line: LossyLine): { readonly network: Network; readonly flow: Flow } {
  const topology: Topology = {
    name: 'line',
    sites: ['here', 'there'],
    hosts: [
      { kind: 'host', name: 'a', site: 'here' },
      { kind: 'host', name: 'b', site: 'there' },
    ],
    switches: [],
    links: [],
    spans: {
      line: {
        kind: 'span',
        name: 'line',
        ends: [
          { node: 'a', port: 'eth0' },
          { node: 'b', port: 'eth0' },
        ],
        rate: line.rate,
        length: '1 km',
      },
    },
    settings: { ...DEFAULT_FABRIC, ecn: null, pfc: null, dcqcn: null, roce: line.roce, transport: line.transport },
  };
  const network = createNetwork({ topology, seed: line.seed ?? 1, trainPackets: 1 });
  for (const direction of ['a-to-b', 'b-to-a'] as const)
    network.setSpan('line', direction, { delayPs: Math.round(line.rttPs / 2) });
  network.setSpan('line', 'a-to-b', { loss: line.loss ?? 0, lossEvery: line.lossEvery ?? 0 });
  const flow = network.flow({ source: 'a', target: 'b', bytes: Number.POSITIVE_INFINITY, entropy: 1 });
  return { network, flow };
}
