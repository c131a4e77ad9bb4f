/** One direction of an ended iperf3 UDP test. */
export interface Iperf3Test {
  readonly role: 'client' | 'server';
  readonly local: { readonly host: string; readonly port: number };
  readonly remote: { readonly host: string; readonly port: number };
  readonly blockBytes: number;
  readonly rateBps: number;
  readonly seconds: number;
  /** Client: packets sent. Server: highest sequence number it knows of. */
  readonly packets: number;
  /** Server: gaps in the sequence. */
  readonly lost: number;
  readonly error: string;
}

/** The JSON of `iperf3 -J` 3.12 for an interrupted UDP test; key for key what the real program prints, save the intervals. */
export function iperf3Json(test: Iperf3Test): string {
  const { role, local, remote, blockBytes, rateBps, seconds, packets, lost } = test;
  const sender = role === 'client';
  const arrived = packets - lost;
  const bytes = (sender ? packets : arrived) * blockBytes;
  const perSecond = (n: number): number => (seconds > 0 ? (n * 8) / seconds : 0);
  const span = { start: 0, end: seconds, seconds };
  const percent = packets > 0 ? (100 * lost) / packets : 0;
  const zero = { ...span, bytes: 0, bits_per_second: 0, jitter_ms: 0, lost_packets: 0, packets: 0, lost_percent: 0 };
  const sum = {
    ...span,
    bytes: sender ? bytes : 0,
    bits_per_second: sender ? perSecond(bytes) : 0,
    jitter_ms: 0,
    lost_packets: lost,
    packets,
    lost_percent: percent,
    sender,
  };
  const received = {
    ...span,
    bytes,
    bits_per_second: perSecond(bytes),
    jitter_ms: 0,
    lost_packets: lost,
    packets,
    lost_percent: percent,
    sender: false,
  };
  return `${JSON.stringify(
    {
      start: {
        connected: [
          {
            socket: 5,
            local_host: local.host,
            local_port: local.port,
            remote_host: remote.host,
            remote_port: remote.port,
          },
        ],
        version: 'iperf 3.12',
        system_info: 'Linux gpu-node 6.1.0-22-amd64 #1 SMP x86_64',
        target_bitrate: rateBps,
        ...(sender ? { connecting_to: remote } : { accepted_connection: remote }),
        test_start: {
          protocol: 'UDP',
          num_streams: 1,
          blksize: blockBytes,
          omit: 0,
          duration: 0,
          bytes: 0,
          blocks: 0,
          reverse: 0,
          tos: 0,
          target_bitrate: rateBps,
        },
      },
      intervals: [],
      end: {
        streams: [{ udp: { socket: 5, ...sum, out_of_order: 0 } }],
        sum,
        sum_sent: sender ? { ...sum } : { ...zero, sender: true },
        sum_received: sender ? { ...zero, sender: false } : received,
        cpu_utilization_percent: {
          host_total: 0,
          host_user: 0,
          host_system: 0,
          remote_total: 0,
          remote_user: 0,
          remote_system: 0,
        },
      },
      error: test.error,
    },
    null,
    '\t',
  )}\n`;
}

/** What `iperf3 -J` prints when it never got to a test. */
export const iperf3Failure = (error: string): string =>
  `${JSON.stringify({ start: { connected: [], version: 'iperf 3.12' }, intervals: [], end: {}, error }, null, '\t')}\n`;
