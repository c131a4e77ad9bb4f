import type { ProbeCount } from '../../binding/host.ts';
import { escapeDeviceText } from '../device-text.ts';
import { isRecord, ParseError, parseJson } from '../parse-error.ts';

/** The end of one side of an iperf3 UDP test. */
export interface Iperf3End {
  readonly version: string;
  /** What went wrong in iperf3's words; undefined after a normal end, and that includes an end by SIGINT of either side. */
  readonly error: string | undefined;
  /** Client: packets sent. Server: highest sequence number seen. Undefined when the test never ran. */
  readonly packets: number | undefined;
  /** Server: gaps in the sequence. Always 0 at a client that was interrupted. */
  readonly lostPackets: number | undefined;
  readonly seconds: number | undefined;
}

/** How an endless test ends on purpose (iperf 3.12, iperf_api.c): the harness interrupts the client, the server learns of it. */
const NORMAL_ENDS: readonly string[] = [
  'interrupt - the client has terminated',
  'the client has terminated',
  'interrupt - the server has terminated',
  'the server has terminated',
];

/** The JSON of `iperf3 -J`, client or server. @throws ParseError, also on an empty or cut-off file */
export function parseIperf3(text: string): Iperf3End {
  const expected = 'iperf3 -J';
  const whole = parseJson(text, expected);
  if (!isRecord(whole) || !isRecord(whole['start']))
    throw new ParseError(`${expected}: an object with start and end`, text);
  const { error } = whole;
  const end = isRecord(whole['end']) ? whole['end'] : {};
  const sum = isRecord(end['sum']) ? end['sum'] : {};
  const count = (value: unknown): number | undefined =>
    typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
  const { version } = whole['start'];
  return {
    version: typeof version === 'string' ? escapeDeviceText(version) : '',
    error:
      typeof error === 'string' && !NORMAL_ENDS.includes(error) ? escapeDeviceText(error).slice(0, 500) : undefined,
    packets: count(sum['packets']),
    lostPackets: count(sum['lost_packets']),
    seconds: typeof sum['seconds'] === 'number' && Number.isFinite(sum['seconds']) ? sum['seconds'] : undefined,
  };
}

/**
 * Sent from the client, received from the server: its packets less its lost ones.
 *
 * @throws ParseError when either side did not count
 */
export function probeCount(client: Iperf3End, server: Iperf3End): ProbeCount {
  if (client.packets === undefined)
    throw new ParseError('an iperf3 client that counted packets', client.error ?? 'no counts');
  if (server.packets === undefined || server.lostPackets === undefined)
    throw new ParseError('an iperf3 server that counted packets', server.error ?? 'no counts');
  return { sent: client.packets, received: Math.max(0, server.packets - server.lostPackets) };
}
