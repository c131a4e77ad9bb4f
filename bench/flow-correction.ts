import { createNetwork } from '../emulators/fabric-sim/fabric/create-network.ts';
import { DEFAULT_FABRIC } from '../harness/model/fabric-settings.ts';
import { cable, type Topology } from '../harness/model/topology.ts';
import type { Distance } from '../harness/model/units.ts';

/*
 * The fraction of its max-min fair share that a settled DCQCN flow reaches at a full link, by flows at the link and round trip: the table
 * in emulators/fabric-sim/flow-level/share-correction.ts. n hosts at 100 Gb/s send over one span of 100 Gb/s (one flow: of 50 Gb/s) to n
 * others. Rounds of one message a flow: ideal over real time until the slowest has arrived, less one way. Endless flows: goodput of all from
 * 200 to 400 ms against what the span can carry. Trains of 8.
 *
 *   npx tsx bench/flow-correction.ts
 */

const LENGTHS: readonly Distance[] = ['0.1 km', '10 km', '100 km', '1000 km'];
const FLOWS = [1, 2, 4, 8, 16];
const MESSAGES = [0.25e6, 1e6, 4e6, 16e6, 64e6];
const WARM_PS = 200e9;
const MEASURED_PS = 200e9;
const PAYLOAD_SHARE = 4096 / 4178;

function fabric(flows: number, length: Distance): Topology {
  const sides = ['a', 'b'] as const;
  return {
    name: 'correction',
    sites: [...sides],
    hosts: sides.flatMap(site =>
      Array.from({ length: flows }, (_, i) => ({ kind: 'host', name: `${site}${i}`, site }) as const),
    ),
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

/** `flows` senders, and what all of them have delivered. */
function network(flows: number, length: Distance, bytes: number, onDelivered: () => void) {
  const topology = fabric(flows, length);
  const net = createNetwork({ topology, seed: 1, trainPackets: 8 });
  const running = Array.from({ length: flows }, (_, i) => {
    for (const [near, far] of [
      ['a', 'b'],
      ['b', 'a'],
    ]) {
      net.setRoute(`leaf-${near}`, `${near}${i}`, [`p${i}`]);
      net.setRoute(`leaf-${near}`, `${far}${i}`, ['span']);
    }
    return net.flow({ source: `a${i}`, target: `b${i}`, bytes, entropy: 49_152 + i, onDelivered });
  });
  return { net, running, payloadBps: (flows === 1 ? 50e9 : 100e9) * PAYLOAD_SHARE };
}

function settledShare(flows: number, length: Distance): number {
  const { net, running, payloadBps } = network(flows, length, Number.POSITIVE_INFINITY, () => {});
  const delivered = () => running.reduce((sum, flow) => sum + flow.delivered(), 0);
  net.advance(WARM_PS);
  const before = delivered();
  net.advance(WARM_PS + MEASURED_PS);
  return ((delivered() - before) * 8e12) / MEASURED_PS / payloadBps;
}

/** Ideal over real time of rounds in which every flow sends one message and waits for the slowest; mean of rounds 2 to 8. */
function roundShare(flows: number, length: Distance, bytes: number): number {
  let left = flows;
  const delivered = (): void => {
    if (--left === 0) net.stop();
  };
  const { net, running, payloadBps } = network(flows, length, bytes, delivered);
  const onDelivered = delivered;
  const oneWayPs = 2 * 100_000 + net.span('long', 'a-to-b').delayPs;
  const idealPs = (flows * bytes * 8e12) / payloadBps;
  const shares: number[] = [];
  for (let round = 0; round < 8; round++) {
    const beginPs = net.nowPs;
    if (round > 0) {
      left = flows;
      for (const flow of running) flow.send(bytes, { onDelivered });
    }
    net.advance(beginPs + 1e12);
    if (round > 0) shares.push(Math.min(1, idealPs / (net.nowPs - beginPs - oneWayPs)));
  }
  return shares.reduce((sum, share) => sum + share, 0) / shares.length;
}

const print = (title: string, share: (flows: number, length: Distance) => number): void => {
  console.log(`${title}\nflows      ${LENGTHS.map(length => length.padStart(9)).join('')}`);
  for (const flows of FLOWS)
    console.log(
      `${String(flows).padEnd(11)}${LENGTHS.map(length => share(flows, length).toFixed(3).padStart(9)).join('')}`,
    );
};
for (const bytes of MESSAGES)
  print(`rounds of ${bytes / 1e6} MB a flow`, (flows, length) => roundShare(flows, length, bytes));
print('endless flows', settledShare);
