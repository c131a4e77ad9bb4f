import { magnitude } from '../model/units.ts';
import { bitRate, bytes, counted, duration } from './amount.ts';
import { atLeast, type Judged } from './finding.ts';
import type { DeclaredSettings } from './linted-fabric.ts';

/** tc-netem(8): a queue of 1000 packets, and a NIC's usual MTU. */
export const NETEM_DEFAULT_PACKETS = 1000;
/** Full packets, when no RoCE MTU is declared: the least RoCE path MTU in use. */
const LEAST_MTU_BYTES = 1024;

export const NETEM_SOURCE = 'tc-netem(8): limit bounds the packets that are delayed; default 1000';

/** Packets that netem holds while they are delayed: rate x delay / MTU. */
export function packetsHeld(options: {
  readonly rateBps: number;
  readonly delayNs: number;
  readonly mtuBytes: number;
}): number {
  return Math.ceil((options.rateBps * options.delayNs) / 8e9 / options.mtuBytes);
}

/** Rate that netem passes with this limit, bit/s: limit x MTU / delay. 2.4 Gb/s with 1000 packets of 1500 B and 5 ms. */
export function heldRateBps(options: {
  readonly limit: number;
  readonly delayNs: number;
  readonly mtuBytes: number;
}): number {
  return (options.limit * options.mtuBytes * 8e9) / options.delayNs;
}

export const mtuBytesOf = ({ roce }: DeclaredSettings): number =>
  roce === undefined ? LEAST_MTU_BYTES : magnitude(roce.mtu);

/** What a Linux box that plays one way of the span must hold. */
export function netemRoom(
  way: { readonly rateBps: number; readonly delayNs: number },
  settings: DeclaredSettings,
): Pick<Judged, 'check' | 'needed' | 'formula' | 'source'> {
  const mtuBytes = mtuBytesOf(settings);
  const needed = Math.max(1, packetsHeld({ ...way, mtuBytes }));
  const byDefault = heldRateBps({ limit: NETEM_DEFAULT_PACKETS, delayNs: way.delayNs, mtuBytes });
  return {
    check: 'netem limit',
    needed: atLeast(counted(needed, 'packets')),
    formula:
      `${bitRate(way.rateBps).text} x ${duration(way.delayNs).text} / (8 x ${bytes(mtuBytes).text}) = ${needed} packets; ` +
      `the default of ${NETEM_DEFAULT_PACKETS} passes ${bitRate(byDefault).text}`,
    source: NETEM_SOURCE,
  };
}
