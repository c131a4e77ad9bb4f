import type { Network } from '../../emulators/fabric-sim/fabric/network.ts';
import { PAUSE_WIRE_BYTES } from '../../emulators/fabric-sim/fabric/wire-size.ts';
import { framesAfterXoff } from '../../emulators/fabric-sim/theory/pfc-headroom.ts';
import { fibreDelayPs } from '../../harness/model/fibre-delay.ts';
import { PAUSE_QUANTA, pauseS, sonicXoffBytes } from '../../harness/model/pfc-headroom.ts';
import { magnitude, type Distance, type Rate } from '../../harness/model/units.ts';
import type { Comparison, ComparisonRow } from './comparison.ts';
import { fanIn, smallFabric } from './small-fabric.ts';

const MTU_BYTES = 4096;
const WIRE_BYTES = 4178;
const XOFF_BYTES = 100_000;

interface Line {
  readonly rate: Rate;
  readonly length: Distance;
  /** A fibre with PFC over it instead of a cable. */
  readonly span?: boolean;
}

const LINES: readonly Line[] = [
  { rate: '10 Gb/s', length: '300 m' },
  { rate: '100 Gb/s', length: '100 m' },
  { rate: '100 Gb/s', length: '2 km' },
  { rate: '400 Gb/s', length: '300 m' },
  { rate: '400 Gb/s', length: '2 km' },
  { rate: '800 Gb/s', length: '2 km' },
  { rate: '1.6 Tb/s', length: '2 km' },
  { rate: '3.2 Tb/s', length: '300 m' },
  { rate: '400 Gb/s', length: '10 km', span: true },
];

const delayPs = ({ length, span }: Line): number =>
  span === true ? fibreDelayPs(magnitude(length)) : magnitude(length) * 5000;

/** What still comes after the frame that crosses xoff. */
const boundBytes = (line: Line): number =>
  WIRE_BYTES *
  framesAfterXoff({
    rateBps: magnitude(line.rate),
    delayPs: delayPs(line),
    frameWireBytes: WIRE_BYTES,
    pauseWireBytes: PAUSE_WIRE_BYTES,
  });

/** With the port MTU of the topology's frames, and without SONiC's small packets. Undefined where SONiC has no pause quanta for the rate. */
function sonicBytes({ rate, length }: Line): number | undefined {
  const rateBps = magnitude(rate);
  if (PAUSE_QUANTA[rateBps / 1e6] === undefined) return undefined;
  return sonicXoffBytes({
    rateBps,
    metres: magnitude(length),
    portMtuBytes: WIRE_BYTES,
    losslessMtuBytes: WIRE_BYTES,
    macPhyBytes: 0.8 * 1024,
  });
}

const settings = (headroomBytes: number, line?: Line) =>
  ({
    bufferPerSwitch: '1 GB',
    roce: { mtu: `${MTU_BYTES} B`, retransmitTimeout: '1 s' },
    transport: { control: 'none' },
    switching: { scaleThresholds: false },
    pfc: {
      xoff: `${XOFF_BYTES} B`,
      xon: `${XOFF_BYTES / 2} B`,
      headroom: `${headroomBytes} B`,
      freeShare: null,
      ...(line?.span === true && { overSpans: true }),
    },
  }) as const;

/** Time in which all of it must have happened: filling to xoff, two round trips, and as much again. */
const settledPs = (line: Line): number =>
  Math.ceil(4 * delayPs(line) + (16 * XOFF_BYTES * 1e12) / magnitude(line.rate) + 1e6);

/**
 * Packets lost when one sender fills a port whose switch can send nothing on: it leads to a host at 1 kb/s. The sender's first packet
 * is on that link for seconds; all others stay.
 */
function lostWhenStuck(line: Line, headroomBytes: number): number {
  const network = smallFabric({
    hosts: ['a', 'b'],
    edges: [
      { between: ['a', 's'], ...line },
      { between: ['s', 'b'], rate: '1 kb/s', length: '1 m' },
    ],
    settings: settings(headroomBytes, line),
  });
  network.flow({ source: 'a', target: 'b', bytes: Number.POSITIVE_INFINITY, entropy: 1 });
  network.advance(settledPs(line));
  if (network.count('a', 's').pfcRx === 0) throw new Error(`${line.rate} over ${line.length}: no pause has come.`);
  return network.account.dropped;
}

/** Packets lost in an incast of 8 to 1 over equal lines, in ten times that time. */
function lostInIncast(line: Line, headroomBytes: number): number {
  const network = fanIn(8, { rate: line.rate, length: line.length, settings: settings(headroomBytes) });
  for (let i = 0; i < 8; i++)
    network.flow({ source: `h${i}`, target: 't', bytes: Number.POSITIVE_INFINITY, entropy: i });
  network.advance(3 * settledPs(line));
  if (network.count('h0', 's').pfcRx === 0) throw new Error(`${line.rate} over ${line.length}: no pause has come.`);
  return network.account.dropped;
}

function* lossRows(): Generator<ComparisonRow> {
  for (const line of LINES) {
    const name = `${line.rate}, ${line.length}${line.span === true ? ' of fibre' : ''}`;
    const bound = boundBytes(line);
    const lost = (what: string, published: number, ours: number, note?: string): ComparisonRow => ({
      what: `${name}: packets lost with ${what}`,
      unit: 'packets',
      published,
      ours,
      allowed: { absolute: 0 },
      ...(note !== undefined && { note }),
    });
    const sonic = sonicBytes(line);
    yield lost(`the exact bound, ${bound} B`, 0, lostWhenStuck(line, bound), `${bound / WIRE_BYTES} frames after xoff`);
    yield lost('one packet less', 1, lostWhenStuck(line, bound - WIRE_BYTES));
    yield lost('one byte less', 1, lostWhenStuck(line, bound - 1));
    if (sonic === undefined) continue;
    yield lost(`SONiC’s ${sonic} B`, 0, lostWhenStuck(line, sonic));
    if (line.span !== true) yield lost(`SONiC’s value, incast of 8`, 0, lostInIncast(line, sonic));
    yield {
      what: `${name}: SONiC’s headroom over the exact bound`,
      unit: 'KB',
      published: 0,
      ours: (sonic - bound) / 1e3,
      allowed: { bound: 'at-least' },
      note: `${((100 * sonic) / bound - 100).toFixed(1)} % more; most of it is the peer’s reaction, which takes no time here`,
    };
  }
}

const PAUSE_LINE: Line = { rate: '400 Gb/s', length: '300 m' };

/** Sender `a` at 400 Gb/s, soon paused by `s`, which can send nothing on. */
function stuck(line = PAUSE_LINE): Network {
  const network = smallFabric({
    hosts: ['a', 'b'],
    edges: [
      { between: ['a', 's'], ...line },
      { between: ['s', 'b'], rate: '1 kb/s', length: '1 m' },
    ],
    settings: settings(boundBytes(line), line),
  });
  network.flow({ source: 'a', target: 'b', bytes: Number.POSITIVE_INFINITY, entropy: 1 });
  while (network.count('a', 's').pfcRx === 0) network.advance(network.nowPs + 1e5);
  return network;
}

function* pauseRows(): Generator<ComparisonRow> {
  const longestUs = 1e6 * pauseS(65535, magnitude(PAUSE_LINE.rate));
  const pausedUs = (network: Network): number => network.count('a', 's').pausedPs / 1e6;
  const row = (what: string, published: number, ours: number, absolute: number, note: string): ComparisonRow => ({
    what: `400 Gb/s, 65535 quanta: ${what}`,
    unit: 'us',
    published,
    ours,
    allowed: { absolute },
    note,
  });
  const dead = stuck();
  dead.setForwarding('s', 'a', false);
  dead.advance(1e9);
  yield row('pause of a switch whose port dies', 83.9, pausedUs(dead), 0.05, 'runs out; simulated to 1 ms');
  yield row('the same, to the picosecond', longestUs, pausedUs(dead), 1e-6, '65535 x 512 bit times');

  const fibre: Line = { ...PAUSE_LINE, length: '10 km', span: true };
  const cut = stuck(fibre);
  cut.setSpan('a-s', 'b-to-a', { passing: false });
  cut.advance(1e9);
  yield row('pause over a fibre that is cut that way', longestUs, pausedUs(cut), 1e-6, 'its refreshes are lost');

  const refreshed = stuck();
  const fromPs = refreshed.nowPs;
  const sent = refreshed.count('a', 's').txPackets;
  refreshed.advance(fromPs + 1e9);
  yield {
    ...row('packets in 1 ms while the switch lives', 0, refreshed.count('a', 's').txPackets - sent, 0, 'refreshed'),
    unit: 'packets',
  };
  yield {
    ...row('pause frames in this millisecond', 23, refreshed.count('a', 's').pfcRx - 1, 0, '1 ms / (half of 83.9 us)'),
    unit: 'frames',
  };
}

const DETECTION_US = 200;
const RESTORATION_US = 300;

/** A host at 1 Gb/s behind two switches, sent to at 100 Gb/s: `y` pauses `x` for 1.05 ms at a time, while 130 KB drain. */
function* watchdogRows(): Generator<ComparisonRow> {
  const network = smallFabric({
    hosts: ['a', 'b'],
    edges: [
      { between: ['a', 'x'], rate: '100 Gb/s', length: '200 m' },
      { between: ['x', 'y'], rate: '100 Gb/s', length: '200 m' },
      { between: ['y', 'b'], rate: '1 Gb/s', length: '200 m' },
    ],
    settings: {
      ...settings(100_000),
      // The sender goes on at line rate whatever is lost, so every frame time shows whether the queue takes packets.
      roce: { mtu: `${MTU_BYTES} B`, retransmitTimeout: '50 us' },
      pfc: {
        xoff: '200 KB',
        xon: '100 KB',
        freeShare: null,
        watchdog: { detection: `${DETECTION_US} us`, restoration: `${RESTORATION_US} us` },
      },
    },
  });
  network.flow({ source: 'a', target: 'b', bytes: Number.POSITIVE_INFINITY, entropy: 1 });
  const stepPs = 10_000;
  const until = (done: () => boolean): number => {
    while (!done()) {
      if (network.nowPs > 10e9) throw new Error('The watchdog has not done what was waited for within 10 ms.');
      network.advance(network.nowPs + stepPs);
    }
    return network.nowPs;
  };
  const port = () => network.count('x', 'y');
  const stepUs = stepPs / 1e6;
  const us = (fromPs: number, toPs: number): number => (toPs - fromPs) / 1e6;
  const pausedAt = until(() => port().pfcRx > 0);
  // As many as the queue held: all of it at one instant.
  let queued = 0;
  const emptiedAt = until(() => {
    if (port().drops > 0) return true;
    queued = port().queueBytes / WIRE_BYTES;
    return false;
  });
  yield {
    what: 'watchdog, detection 200 us: from the pause until the queue is emptied',
    unit: 'us',
    published: DETECTION_US,
    ours: us(pausedAt, emptiedAt),
    allowed: { absolute: stepUs },
    note: 'looked at every 10 ns',
  };
  yield {
    what: 'watchdog: packets dropped at that instant, of those queued',
    unit: 'packets',
    published: queued,
    ours: port().drops,
    allowed: { absolute: 0 },
  };
  // While it is paused `pausedPs` runs with the clock.
  const resumedAt = until(() => {
    const before = port().pausedPs;
    network.advance(network.nowPs + stepPs);
    return port().pausedPs - before < stepPs;
  });
  const sent = port().txPackets;
  const restoredAt = until(() => port().txPackets > sent);
  yield {
    what: 'watchdog, restoration 300 us: from the end of the pause until a packet passes again',
    unit: 'us',
    published: RESTORATION_US,
    ours: us(resumedAt, restoredAt),
    allowed: { absolute: 2 * stepUs + (8 * WIRE_BYTES) / 100e3 },
    note: 'packets come every 0.33 us: within one of them',
  };
}

export const pfcBound: Comparison = {
  title: 'PFC, packet by packet: no loss at the headroom, one packet less loses; pauses and their end',
  source:
    'Exact bound: `theory/pfc-headroom.ts`, from IEEE 802.1Qbb’s pause frame and 5 ns/m or the fibre’s delay. SONiC: sonic-swss, ' +
    'cfgmgr/buffer_headroom_mellanox.lua. Quanta: IEEE 802.3 31B. Watchdog: SONiC’s pfcwd (detection, drop, restoration)',
  method:
    'One sender at line rate, frames of 4178 B, into a switch that can send nothing on, xoff 100 KB: the worst that can come. What crosses xoff is ' +
    'counted below it, all later frames in the headroom. Also SONiC’s value in an incast of 8 to 1. SONiC has no pause quanta beyond 800 Gb/s. Its formula ' +
    'with an MTU of 4178 B: the margin is the peer’s reaction and 0.7 % of a long cable; that cable term grows by 4.932 us/km, less than 5 us/km of copper would, more than a fibre’s 4.897.',
  rows: () => [...lossRows(), ...pauseRows(), ...watchdogRows()],
};
