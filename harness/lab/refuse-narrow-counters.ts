import { TestbedUnavailable } from '../binding/binding.ts';
import { deviceError } from '../drivers/device-text.ts';
import { print } from '../model/units.ts';
import { octetWrapNs } from './most-growth.ts';
import { deviceOf, type OpenLab } from './open-lab.ts';
import { rateOf } from './port-rates.ts';

/** From this rate on RFC 2863 section 3.1.6 demands 64 bits of every counter; 32 bits of octets wrap there in 52.9 s, less than a reading may be late. */
const FASTEST_WITH_32_BITS_BPS = 650e6;

/** Most ports named in one message. */
const SHOWN = 3;

/**
 * Refuses a lab whose switches count octets of a fast port in 32 bits, before any load runs: between two readings such a counter can wrap
 * without a trace, and no later care could tell.
 *
 * @throws DeviceError when a switch does not answer; TestbedUnavailable that names the ports, the counters, their wrap time and what to do
 */
export async function refuseNarrowCounters(lab: OpenLab): Promise<void> {
  const refusals = await Promise.all([...lab.switches.keys()].map(node => refusalOf(lab, node)));
  const told = refusals.filter(refusal => refusal !== undefined);
  if (told.length > 0) throw new TestbedUnavailable(told.join('\n'));
}

async function refusalOf(lab: OpenLab, node: string): Promise<string | undefined> {
  const places = lab.solution.portsOf(node);
  const widths = await lab.switches.get(node)?.widths?.(places.map(({ port }) => port));
  if (!widths) return undefined;
  const narrow = places.flatMap(({ name, port }) => {
    const width = widths.get(port);
    const rateBps = Math.max(width?.rateBps ?? 0, rateOf(lab.topology, { node, port: name }) ?? 0);
    return width?.bits === 32 && rateBps > FASTEST_WITH_32_BITS_BPS ? [{ port, rateBps }] : [];
  });
  const [first] = narrow;
  if (!first) return undefined;
  const named = narrow.slice(0, SHOWN).map(({ port }) => port);
  const more = narrow.length > SHOWN ? ` and ${narrow.length - SHOWN} more` : '';
  const wraps = print(octetWrapNs(first.rateBps), 'duration');
  return deviceError({
    device: deviceOf(lab, node),
    tried: 'reading ifHCInOctets and ifHCOutOctets over SNMP',
    answer: `${named.join(', ')}${more} count octets in 32 bits only, which wrap every ${wraps} at ${print(first.rateBps, 'rate')}`,
    advice:
      'Above 650 Mb/s ifXTable (RFC 2863) is needed: let the agent’s view include 1.3.6.1.2.1.31 (SNMPv1 has no 64-bit counters: use v2c or v3), or take another switch.',
  }).message;
}
