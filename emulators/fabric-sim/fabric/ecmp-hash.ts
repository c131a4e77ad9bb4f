import type { FabricSettings } from '../../../harness/model/topology.ts';
import { mix } from '../kernel/mix.ts';

/** IP protocol number of UDP: RoCEv2 and probes both travel in it, so a probe with a flow's entropy takes the flow's path. */
const UDP = 17;

/** What every packet of a flow carries into each switch's hash: source, target, protocol and entropy (the UDP source port), mixed. */
export function flowHash(source: number, target: number, entropy: number): number {
  return entropyHash(endpointsHash(source, target), entropy);
}

/** The part of {@link flowHash} that all packets between two hosts share. */
export function endpointsHash(source: number, target: number): number {
  return mix(mix(source + 0x9e3779b9) ^ (target + UDP * 0x10000));
}

/** A packet's hash from that of its end points and its entropy. */
export function entropyHash(endpoints: number, entropy: number): number {
  return mix(endpoints ^ entropy);
}

/** Seed of one switch: without it, switches in a row would choose alike and leave half of the paths idle (polarisation). */
export function switchSeed(seed: number, node: number): number {
  return mix(mix(seed | 0) ^ mix(Math.floor(seed / 2 ** 32)) ^ Math.imul(node + 1, 0x9e3779b1));
}

/** Which of `count` ports the switch takes. MurmurHash3's finalizer, then modulo as switch ASICs do. */
export function ecmpChoice(hash: number, seed: number, count: number): number {
  return (mix(hash ^ seed) >>> 0) % count;
}

/**
 * The entropy that switches see of a flow's: all of it, or nothing where they hash addresses only.
 *
 * @throws RangeError for a transport that spreads packets by entropy over switches that do not look at it
 */
export function seenEntropy({ switching, transport }: FabricSettings): (entropy: number) => number {
  if (switching?.ecmpFields !== 'addresses') return entropy => entropy;
  if ((transport?.spreading ?? 'flow') !== 'flow')
    throw new RangeError(
      'Switches that hash addresses only do not spread packets by entropy: let spreading be by flow.',
    );
  return () => 0;
}
