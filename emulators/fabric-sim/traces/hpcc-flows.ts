import { reject, secondsAsPs, WordReader } from './trace-text.ts';

const MOST_FLOWS = 2 ** 23;

/** One flow of the flow file of the HPCC-style ns-3 family. */
export interface HpccFlow {
  readonly source: number;
  readonly target: number;
  /** Priority group, 0 to 7. */
  readonly priority: number;
  readonly targetPort: number;
  readonly bytes: number;
  readonly startPs: number;
}

/**
 * Reads the count and a line `SRC DST PRIORITY DPORT BYTES START_SECONDS` for each flow, starts in order: the family waits for each
 * before it reads the next.
 *
 * @throws TraceFormatError naming file and line
 */
export function parseHpccFlows(text: string, file: string): readonly HpccFlow[] {
  const words = new WordReader(text, file);
  const count = words.whole({ what: 'the count of flows', least: 0, most: MOST_FLOWS });
  const flows: HpccFlow[] = [];
  let lastPs = 0;
  for (let i = 1; i <= count; i += 1) {
    const whole = (what: string, least: number, most: number) =>
      words.whole({ what: `the ${what} of flow ${i} of ${count}`, least, most });
    const source = whole('source', 0, 65535);
    const target = whole('target', 0, 65535);
    const priority = whole('priority', 0, 7);
    const targetPort = whole('target port', 0, 65535);
    const bytes = whole('size', 1, Number.MAX_SAFE_INTEGER);
    const start = words.word(`the start of flow ${i} of ${count}`);
    const startPs = secondsAsPs(start, `the start of flow ${i}`);
    if (source === target) reject(start, `flow ${i} goes from node ${source} to itself; expected two different nodes`);
    if (startPs < lastPs) reject(start, `flow ${i} starts before flow ${i - 1}; expected them in order`);
    lastPs = startPs;
    flows.push({ source, target, priority, targetPort, bytes, startPs });
  }
  words.end();
  return flows;
}

/** The flows in the family's format; `parseHpccFlows` reads them back equal. */
export function writeHpccFlows(flows: readonly HpccFlow[]): string {
  const lines = flows.map(flow =>
    [flow.source, flow.target, flow.priority, flow.targetPort, flow.bytes, secondsText(flow.startPs)].join(' '),
  );
  return `${[String(flows.length), ...lines].join('\n')}\n`;
}

/** Seconds with nine digits, twelve when picoseconds need them. */
function secondsText(ps: number): string {
  const seconds = Math.floor(ps / 1e12);
  const fraction = String(ps - seconds * 1e12).padStart(12, '0');
  return `${seconds}.${fraction.endsWith('000') ? fraction.slice(0, 9) : fraction}`;
}
