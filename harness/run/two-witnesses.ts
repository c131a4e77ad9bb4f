import { counterGrowth, type PortGrowth } from '../checks/counter-growth.ts';
import type { PhaseView, RunView } from '../checks/run-view.ts';
import type { Fault } from '../model/fault.ts';
import type { Link } from '../model/topology.ts';
import { magnitude } from '../model/units.ts';

/** What one end counts going out, and the other coming in. */
const PAIRS = [
  { sent: 'txBytes', received: 'rxBytes', unit: 'B' },
  { sent: 'txPackets', received: 'rxPackets', unit: 'packets' },
  { sent: 'pfcTx', received: 'pfcRx', unit: 'PFC frames' },
] as const;

/** Largest frame on these links, a jumbo frame, B: one may be counted at one end and not yet at the other, at each edge of the phase. */
const FRAME_BYTES = 9216;
/** Smallest frame with preamble and gap, B. */
const SMALLEST_BYTES = 84;
/** Devices count octets with or without the frame check sequence, B a packet. */
const CHECK_SEQUENCE_BYTES = 4;
/** Light in fibre, m/s. */
const LIGHT_MPS = 2e8;

export interface Compared {
  /** Counts that both ends had. */
  readonly compared: number;
  /** Each disagreement in words. */
  readonly apart: readonly string[];
}

/**
 * Reconciles the two ends of each link over a phase: what one sent, the other received. A link is a cable within a site; spans are left
 * out, as a span may lose what it carries, and so are the links of a port or switch that a fault of the phase takes down.
 *
 * They may differ by what the readings can not tell: at both edges of the phase, the time between the two readings, what each of them took,
 * and the cable's delay, all at line rate; a largest frame (or train) each way; 4 B for each packet, as not every device counts the frame
 * check sequence; and what a port counted as dropped, which some count as received before. Flow level counts no packets, so there
 * is nothing to compare.
 */
export function disagreements(view: RunView, phase: string): Compared {
  const seen = view.phase(phase);
  if (!seen || view.granularity(phase) === 'flow') return { compared: 0, apart: [] };
  const grown = PAIRS.map(pair => ({
    ...pair,
    of: new Map([pair.sent, pair.received].map(name => [name, byPort(seen, name)] as const)),
  }));
  const packets = byPort(seen, 'txPackets');
  const drops = byPort(seen, 'drops');
  const train = Math.max(1, view.trainPackets ?? 1);
  let compared = 0;
  const apart: string[] = [];
  for (const link of view.plan.topology.links.filter(link => !seen.faults.some(fault => touches(fault, link)))) {
    for (const [from, to] of [link.ends, link.ends.toReversed()]) {
      const [sender, receiver] = [`${from?.node} ${from?.port}`, `${to?.node} ${to?.port}`];
      for (const { sent, received, unit, of } of grown) {
        const [out, into] = [of.get(sent)?.get(sender), of.get(received)?.get(receiver)];
        if (!out || !into) continue;
        compared++;
        const [told, heard] = [out.grew[sent] ?? 0, into.grew[received] ?? 0];
        const dropped = (drops.get(sender)?.grew.drops ?? 0) + (drops.get(receiver)?.grew.drops ?? 0);
        const unsure = unsureBytes(link, out, into);
        const allowed =
          unit === 'B'
            ? unsure +
              2 * train * FRAME_BYTES +
              CHECK_SEQUENCE_BYTES * (packets.get(sender)?.grew.txPackets ?? 0) +
              dropped * FRAME_BYTES
            : unsure / SMALLEST_BYTES + 2 * train + dropped;
        if (Math.abs(told - heard) > allowed)
          apart.push(
            `${sender} sent ${told} ${unit} and ${receiver} received ${heard}, ${Math.ceil(allowed)} apart at most`,
          );
      }
    }
  }
  return { compared, apart };
}

const byPort = (seen: PhaseView, name: Parameters<typeof counterGrowth>[1][number]): ReadonlyMap<string, PortGrowth> =>
  new Map(counterGrowth(seen, [name]).ports.map(growth => [growth.port, growth]));

/** What line rate carries in the time by which the readings of both ends may be apart, at both edges of the phase. */
function unsureBytes({ rate, length }: Link, out: PortGrowth, into: PortGrowth): number {
  const delayNs = (magnitude(length) / LIGHT_MPS) * 1e9;
  const apartNs = Math.abs(out.fromNs - into.fromNs) + Math.abs(out.toNs - into.toNs);
  const unsureNs = apartNs + out.bracketNs + into.bracketNs + 2 * delayNs;
  return (magnitude(rate) * unsureNs) / 8e9;
}

/** Whether a fault takes down a port of the link, or the switch behind it: frames are lost on it, and counters may begin anew. */
function touches(fault: Fault, link: Link): boolean {
  if (fault.kind === 'link-down') return fault.link.name === link.name;
  return fault.kind === 'switch-reboot' && link.ends.some(({ node }) => node === fault.switch.name);
}
