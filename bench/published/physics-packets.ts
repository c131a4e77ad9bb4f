import { datagramWireBytes, GAP_BYTES } from '../../emulators/fabric-sim/fabric/wire-size.ts';
import type { Network } from '../../emulators/fabric-sim/fabric/network.ts';
import { frameLoss } from '../../emulators/fabric-sim/theory/optics.ts';
import { magnitude, type Rate } from '../../harness/model/units.ts';
import type { Comparison, ComparisonRow } from './comparison.ts';
import { smallFabric } from './small-fabric.ts';

const SPAN_KM = 80;
const CABLE_M = 100;
/** Of G.652.D at 1550 nm (Corning SMF-28 data sheet), and light in vacuum, m/s. */
const GROUP_INDEX = 1.4682;
const LIGHT = 299_792_458;
const SPAN_PS = Math.round((SPAN_KM * 1e15 * GROUP_INDEX) / LIGHT);
const CABLE_PS = CABLE_M * 5000;

/** `a` and `b` over two switches and 80 km of fibre, every link of one rate. */
const line = (rate: Rate, seed = 1): Network =>
  smallFabric({
    hosts: ['a', 'b'],
    edges: [
      { between: ['a', 'x'], rate, length: `${CABLE_M} m` },
      { between: ['x', 'y'], rate, length: `${SPAN_KM} km`, span: true },
      { between: ['y', 'b'], rate, length: `${CABLE_M} m` },
    ],
    settings: { bufferPerSwitch: '1 GB', transport: { control: 'none' } },
    seed,
  });

const RATES: readonly Rate[] = ['10 Gb/s', '100 Gb/s', '400 Gb/s', '800 Gb/s', '1.6 Tb/s', '3.2 Tb/s'];
const PACKETS = 1000;

function* timeRows(): Generator<ComparisonRow> {
  for (const rate of RATES) {
    const psPerByte = 8e12 / magnitude(rate);
    // 4096 B are 4178 B on the wire, 1 B is 83 B: 207.5 ps at 3.2 Tb/s, and a packet's time is rounded to whole picoseconds.
    for (const [what, bytes, sizes] of [
      ['one packet of 4096 B', 4096, [4178]],
      [`${PACKETS} packets of 4096 B`, PACKETS * 4096, Array.from({ length: PACKETS }, () => 4178)],
      ['a full packet and one byte more', 4097, [4178, 83]],
    ] as const) {
      const network = line(rate);
      let deliveredPs = Number.NaN;
      network.flow({ source: 'a', target: 'b', bytes, entropy: 1, onDelivered: () => (deliveredPs = network.nowPs) });
      network.advance(10e9);
      const times = sizes.map(size => Math.round(size * psPerByte));
      const last = times.at(-1) as number;
      const sending = times.reduce((sum, time) => sum + time, 0);
      // The last packet waits for the one before it at each switch, when that takes longer than itself.
      const before = times.length > 1 ? (times.at(-2) as number) : last;
      yield {
        what: `${rate}, ${what}, three links, 80 km: last byte delivered`,
        unit: 'ps',
        published: sending + 2 * Math.max(last, before) + SPAN_PS + 2 * CABLE_PS,
        ours: deliveredPs,
        allowed: { absolute: 0 },
        note: `${psPerByte} ps/B; fibre ${SPAN_PS} ps, cables ${CABLE_PS} ps each`,
      };
    }
  }
}

/** Standard errors that a count may be away. */
const ERRORS = 3;
const DATAGRAM_BYTES = 4096;

/** Share of `datagrams` that the fibre loses. */
function lostShare(
  datagrams: number,
  { seed, ...change }: { readonly seed: number; readonly loss?: number; readonly ber?: number },
): number {
  const network = line('400 Gb/s', seed);
  network.setSpan('x-y', 'a-to-b', change);
  const packetsPerSecond = 10e6;
  const stream = network.datagrams({
    source: 'a',
    target: 'b',
    entropy: 1,
    bytes: DATAGRAM_BYTES,
    packetsPerSecond,
  });
  network.at(Math.round(((datagrams - 0.5) * 1e12) / packetsPerSecond), () => stream.stop());
  network.advance(Math.ceil((datagrams * 1e12) / packetsPerSecond) + 1e9);
  if (stream.sent() !== datagrams) throw new Error(`${stream.sent()} of ${datagrams} datagrams were sent.`);
  return 1 - stream.received() / datagrams;
}

function* lossRows(): Generator<ComparisonRow> {
  const frameBytes = datagramWireBytes(DATAGRAM_BYTES) - GAP_BYTES;
  for (const [ber, datagrams] of [
    [1e-6, 50_000],
    [1e-7, 200_000],
    [1e-8, 400_000],
  ] as const) {
    const published = frameLoss(ber, frameBytes);
    const error = Math.sqrt((published * (1 - published)) / datagrams);
    for (const [how, change] of [
      ['as loss', { seed: 7, loss: published }],
      ['as bit errors', { seed: 8, ber }],
    ] as const)
      yield {
        what: `BER ${ber.toExponential(0)}, frames of ${frameBytes} B, set ${how}: frames lost`,
        unit: '',
        published,
        ours: lostShare(datagrams, change),
        allowed: { absolute: ERRORS * error },
        note: `1 - (1 - BER)^(8 bytes); ${datagrams} frames, ${ERRORS} standard errors of ${error.toPrecision(2)}`,
      };
  }
}

function* outageRows(): Generator<ComparisonRow> {
  for (const [outageUs, packetsPerSecond] of [
    [50_000, 30_000],
    [50_000, 1e6],
    [1_234.567, 1e6],
    [250, 10e6],
  ] as const) {
    const network = line('400 Gb/s');
    const stream = network.datagrams({ source: 'a', target: 'b', entropy: 1, bytes: 128, packetsPerSecond });
    const cutPs = 2_000_123_457;
    network.advance(cutPs);
    network.setSpan('x-y', 'a-to-b', { passing: false });
    // What is on the fibre is lost with it: an outage at the receiver lasts from the cut until one delay after the repair.
    network.advance(cutPs + Math.round(outageUs * 1e6));
    network.setSpan('x-y', 'a-to-b', { passing: true });
    network.advance(network.nowPs + 5e9);
    stream.stop();
    network.advance(network.nowPs + 1e9);
    yield {
      what: `fibre cut for ${outageUs} us, ${packetsPerSecond} packets/s: outage derived from loss`,
      unit: 'us',
      published: outageUs + SPAN_PS / 1e6,
      ours: ((stream.sent() - stream.received()) / packetsPerSecond) * 1e6,
      allowed: { absolute: 1e6 / packetsPerSecond },
      note: `within one packet; ${(SPAN_PS / 1e6).toFixed(1)} us of it were on the fibre when it broke`,
    };
  }
}

export const physicsPackets: Comparison = {
  title: 'Physics, packet by packet: time on the wire, bit errors, outages',
  source:
    'IEEE 802.3 (preamble, gap), RoCEv2’s headers, light in G.652.D fibre (n_g 1.4682) and 5 ns/m of cable, by hand; independent bit errors (textbook); ' +
    'RFC 6412, equation 6: loss-derived time = lost packets / offered rate',
  method:
    'Two hosts, two switches that store and forward, one fibre of 80 km; RoCEv2 packets of 4096 B (4178 B on the wire) for times, datagrams at even ' +
    'gaps for loss. Times are the sums of each packet’s own, whole picoseconds.',
  rows: () => [...timeRows(), ...lossRows(), ...outageRows()],
};
