import { createNetwork } from '../emulators/fabric-sim/fabric/create-network.ts';
import { DEFAULT_FABRIC } from '../harness/model/fabric-settings.ts';
import { cable, type Topology } from '../harness/model/topology.ts';
import type { Distance } from '../harness/model/units.ts';

/*
 * The fraction of its max-min fair share that a settled DCQCN flow reaches at a full link, by flows at the link and round trip: the table
 * in emulators/fabric-sim/flow-level/share-correction.ts. n hosts at 100 Gb/s send over one span of 100 Gb/s (one flow: of 50 Gb/s) to n
 * others; goodput of all from 200 to 400 ms, against what the span can carry. Trains of 8.
 *
 *   npx tsx bench/flow-correction.ts
 */

const LENGTHS: readonly Distance[] = ['0.1 km', '10 km', '100 km', '1000 km'];
const FLOWS = [1, 2, 4, 8, 16];
const WARM_PS = 200e9;
const MEASURED_PS = 200e9;
const PAYLOAD_SHARE = 4096 / 4178;

function fabric(flows: number, length: Distance): Topology {
  const sides = ['a', 'b'] as const;
  return {
    name: 'correction',
    sites: [...sides],
    hosts: sides.flatMap(site => Array.from({ length: flows }, (_, i) => ({ kind: 'host', name: `${site}${i}`, site }) as const)),
    switches: sides.map(site => ({ kind: 'switch', name: `leaf-${site}`, site, role: 'leaf' }) as const),
    links: sides.flatMap(site =>
      Array.from({ length: flows }, (_, i) =>
        cable({ node: `${site}${i}`, port: 'eth0' }, { node: `leaf-${site}`, port: `p${i}` }, '100 Gb/s', '20 m'),
      ),
    ),
    spans: {
      long: {
        kind: 'span',
        name: 'long',
        ends: [
          { node: 'leaf-a', port: 'span' },
          { node: 'leaf-b', port: 'span' },
        ],
        rate: flows === 1 ? '50 Gb/s' : '100 Gb/s',
        length,
      },
    },
    settings: DEFAULT_FABRIC,
  };
}

function settledShare(flows: number, length: Distance): number {
  const topology = fabric(flows, length);
  const network = createNetwork({ topology, seed: 1, trainPackets: 8 });
  const running = Array.from({ length: flows }, (_, i) => {
    for (const [near, far] of [
      ['a', 'b'],
      ['b', 'a'],
    ]) {
      network.setRoute(`leaf-${near}`, `${near}${i}`, [`p${i}`]);
      network.setRoute(`leaf-${near}`, `${far}${i}`, ['span']);
    }
    return network.flow({ source: `a${i}`, target: `b${i}`, bytes: Number.POSITIVE_INFINITY, entropy: 49_152 + i });
  });
  const delivered = () => running.reduce((sum, flow) => sum + flow.delivered(), 0);
  network.advance(WARM_PS);
  const before = delivered();
  network.advance(WARM_PS + MEASURED_PS);
  const rateBps = flows === 1 ? 50e9 : 100e9;
  return ((delivered() - before) * 8e12) / MEASURED_PS / (rateBps * PAYLOAD_SHARE);
}

console.log(`flows      ${LENGTHS.map(length => length.padStart(9)).join('')}`);
for (const flows of FLOWS)
  console.log(`${String(flows).padEnd(11)}${LENGTHS.map(length => settledShare(flows, length).toFixed(3).padStart(9)).join('')}`);
