import { clockAt, type ClockKnown } from './clock-at.ts';
import type { ClockLine, RecordLine } from './record.ts';

/** What is known of the clock of a node of the topology at an instant of the run; undefined when it was not read before and after. */
export type Clocks = (node: string, atNs: number) => ClockKnown | undefined;

/** The clocks of a record, by the nodes that its devices play. */
export function clocksOf(lines: readonly RecordLine[]): Clocks {
  const devices = new Map(
    lines.flatMap(line =>
      line.kind === 'testbed' ? line.devices.map(({ node, device }) => [node, device] as const) : [],
    ),
  );
  const readings = new Map<string, ClockLine[]>();
  for (const line of lines) {
    if (line.kind !== 'clock') continue;
    const known = readings.get(line.device) ?? [];
    readings.set(line.device, known);
    known.push(line);
  }
  for (const known of readings.values()) known.sort((a, b) => a.atNs - b.atNs);
  return (node, atNs) => clockAt(readings.get(devices.get(node) ?? node) ?? [], atNs);
}
