import type { Comparison, ComparisonRow } from './comparison.ts';
import { lossyLine } from './lossy-line.ts';

const SEGMENT_BYTES = 1460;

/** Multiplicative decrease, and mean over largest window of an epoch: 3/4 for a line from 1/2, (3 + beta)/4 for a cubic from beta. */
const MEAN_SHARE = { reno: 3 / 4, cubic: (3 + 0.7) / 4 } as const;

/** CUBIC's windows in the tables that are no larger than Reno's are those of its Reno-friendly region. */
const RENO_BELOW = 1.01;

interface Point {
  readonly table: string;
  readonly rttS: number;
  readonly control: 'reno' | 'cubic';
  /** One packet lost of so many: 1/p. */
  readonly lossEvery: number;
  /** As printed. */
  readonly window: number;
  readonly epochs: number;
  /** Fraction of the printed value. */
  readonly within: number;
}

/**
 * Mean window over whole epochs, segments: what is sent between two losses is 1/p packets, so it is their number times the round trip
 * over the time that they took. The flow starts with the largest window of the model's epoch, and its first packet is lost.
 */
function meanWindow({ rttS, control, lossEvery, window, epochs }: Omit<Point, 'table' | 'within'>): number {
  const rttPs = rttS * 1e12;
  const share = MEAN_SHARE[window > RENO_BELOW * 1.2 * Math.sqrt(lossEvery) ? control : 'reno'];
  const { network } = lossyLine({
    rate: '100 Gb/s',
    rttPs,
    lossEvery: 1,
    roce: { mtu: `${SEGMENT_BYTES} B`, retransmitTimeout: `${5 * rttS} s` },
    transport: {
      control,
      recovery: 'selective-repeat',
      parameters: {
        initialWindowPackets: Math.round(window / share),
        ...(control === 'cubic' && { fastConvergence: 0 }),
      },
    },
  });
  const lost = () => network.spanCount('line', 'a-to-b').lost;
  while (lost() === 0) network.advance(network.nowPs + 1000);
  network.setSpan('line', 'a-to-b', { lossEvery });
  const lossAtPs: number[] = [network.nowPs];
  while (lossAtPs.length <= epochs) {
    network.advance(network.nowPs + Math.round(rttPs / 20));
    while (lossAtPs.length < lost()) lossAtPs.push(network.nowPs);
  }
  return (epochs * lossEvery * rttPs) / ((lossAtPs[epochs] as number) - (lossAtPs[0] as number));
}

const POINTS: readonly Point[] = [
  { table: 'table 1', rttS: 0.1, control: 'reno', lossEvery: 1e4, window: 120, epochs: 20, within: 0.03 },
  { table: 'table 1', rttS: 0.1, control: 'reno', lossEvery: 1e5, window: 379, epochs: 4, within: 0.03 },
  { table: 'table 1', rttS: 0.1, control: 'reno', lossEvery: 1e6, window: 1200, epochs: 1, within: 0.03 },
  { table: 'table 1', rttS: 0.1, control: 'cubic', lossEvery: 1e4, window: 187, epochs: 20, within: 0.01 },
  { table: 'table 1', rttS: 0.1, control: 'cubic', lossEvery: 1e5, window: 1054, epochs: 4, within: 0.01 },
  { table: 'table 1', rttS: 0.1, control: 'cubic', lossEvery: 1e6, window: 5926, epochs: 1, within: 0.01 },
  { table: 'table 2', rttS: 0.01, control: 'cubic', lossEvery: 1e4, window: 120, epochs: 20, within: 0.05 },
  { table: 'table 2', rttS: 0.01, control: 'cubic', lossEvery: 1e5, window: 379, epochs: 10, within: 0.05 },
];

export const cubicPackets: Comparison = {
  title: 'RFC 9438: windows of Reno and CUBIC, packet by packet',
  source: 'RFC 9438 section 5.1, tables 1 and 2 (columns Reno and CUBIC with C = 0.4)',
  method:
    'One flow over one fibre that loses every 1/p-th packet; selective repeat; 100 Gb/s, so that nothing but loss limits the window. It starts at the ' +
    'largest window of the RFC’s own epoch and then does as it likes: means over whole epochs. Fast convergence is off, as in the RFC’s model: with it, ' +
    'windows under deterministic loss go through cycles 6 to 9 % below the tables. The tables have 1.2 for Reno’s sqrt(3/2), 2 % less than AIMD gives; table 2 lies where CUBIC is Reno-friendly and does a little better.',
  rows: () =>
    POINTS.map(
      (point): ComparisonRow => ({
        what: `${point.table}, RTT ${point.rttS} s, p = ${(1 / point.lossEvery).toExponential(0)}, ${point.control === 'reno' ? 'Reno' : 'CUBIC'}, packets`,
        unit: 'segments',
        published: point.window,
        ours: meanWindow(point),
        allowed: { relative: point.within },
      }),
    ),
};
