import type { FabricGraph } from './fabric-graph.ts';
import { decimal, delay, rate, reject, WordReader } from './trace-text.ts';

/** Node numbers become 16 bits of an address in this family (`node_id_to_ip` in its third.cc). */
const MOST_NODES = 2 ** 16;
const MOST_LINKS = 2 ** 21;

/** The topology file of the HPCC-style ns-3 family, and of THEMIS. */
export interface HpccTopology {
  readonly nodes: number;
  /** Node numbers of the switches; all others are hosts. */
  readonly switches: readonly number[];
  readonly links: readonly HpccLink[];
}

export interface HpccLink {
  readonly a: number;
  readonly b: number;
  readonly rateBps: number;
  readonly delayPs: number;
  /** Frame loss, fraction of 1. */
  readonly errorRate: number;
}

/**
 * Reads `NODES SWITCHES LINKS`, the switch numbers, and a line `0 32 100Gbps 1000ns 0.000000` for each link. A stream of words, as
 * the family reads it. What follows the last link is an error.
 *
 * @throws TraceFormatError naming file and line
 */
export function parseHpccTopology(text: string, file: string): HpccTopology {
  const words = new WordReader(text, file);
  const nodes = words.whole({ what: 'the count of nodes', least: 1, most: MOST_NODES });
  const switchCount = words.whole({ what: 'the count of switches', least: 0, most: nodes });
  const linkCount = words.whole({ what: 'the count of links', least: 0, most: MOST_LINKS });
  const switches = new Set<number>();
  for (let i = 0; i < switchCount; i += 1) {
    const word = words.word(`switch ${i + 1} of ${switchCount}`);
    const number = Number(word.text);
    if (!/^\d{1,6}$/.test(word.text) || number >= nodes)
      reject(word, `${JSON.stringify(word.text.slice(0, 40))}; expected a switch number from 0 to ${nodes - 1}`);
    if (switches.has(number)) reject(word, `switch ${number} a second time; expected each once`);
    switches.add(number);
  }
  const links: HpccLink[] = [];
  for (let i = 0; i < linkCount; i += 1) {
    const end = { what: `a node of link ${i + 1} of ${linkCount}`, least: 0, most: nodes - 1 };
    links.push({
      a: words.whole(end),
      b: words.whole(end),
      rateBps: rate(words.word(`the rate of link ${i + 1}`), `the rate of link ${i + 1}`),
      delayPs: delay(words.word(`the delay of link ${i + 1}`), `the delay of link ${i + 1}`),
      errorRate: decimal(words.word(`the error rate of link ${i + 1}`), {
        what: `the error rate of link ${i + 1}`,
        least: 0,
        most: 1,
      }),
    });
  }
  words.end();
  return { nodes, switches: [...switches], links };
}

/** The topology in the family's format; `parseHpccTopology` reads it back equal. */
export function writeHpccTopology({ nodes, switches, links }: HpccTopology): string {
  const lines = links.map(({ a, b, rateBps, delayPs, errorRate }) =>
    [a, b, rateText(rateBps), delayPs % 1000 === 0 ? `${delayPs / 1000}ns` : `${delayPs}ps`, errorText(errorRate)].join(
      ' ',
    ),
  );
  return `${[`${nodes} ${switches.length} ${links.length}`, switches.join(' '), ...lines].join('\n')}\n`;
}

function rateText(bps: number): string {
  if (bps % 1e9 === 0) return `${bps / 1e9}Gbps`;
  return bps % 1e6 === 0 ? `${bps / 1e6}Mbps` : `${bps}bps`;
}

const errorText = (fraction: number): string => (fraction === 0 ? '0.000000' : String(fraction));

/**
 * The graph that is simulated: hosts `h0`.., switches `s32`.., numbered as in the file. A cable from a node to itself carries
 * nothing in this family unless a scheme recirculates packets through it (THEMIS does, and Themis only): it is left out, and a
 * note says so.
 *
 * @throws RangeError when a host has not exactly one cable: the simulator gives a host one NIC
 */
export function hpccGraph(
  topology: HpccTopology,
  name: string,
): { readonly graph: FabricGraph; readonly notes: readonly string[] } {
  const switches = new Set(topology.switches);
  const notes: string[] = [];
  const nodes = Array.from({ length: topology.nodes }, (_, node) =>
    switches.has(node)
      ? ({ name: `s${node}`, kind: 'switch' } as const)
      : ({ name: `h${node}`, kind: 'host' } as const),
  );
  const cables = new Int32Array(topology.nodes);
  const pairs = new Set<number>();
  const links = topology.links.flatMap(({ a, b, errorRate, ...link }) => {
    if (a === b) {
      notes.push(
        `the cable from ${nodes[a]?.name} to itself is left out: it recirculates packets, which no scheme here does`,
      );
      return [];
    }
    for (const end of [a, b]) cables[end] = (cables[end] as number) + 1;
    const pair = Math.min(a, b) * topology.nodes + Math.max(a, b);
    if (pairs.has(pair))
      notes.push(
        `${nodes[a]?.name} and ${nodes[b]?.name} have parallel cables: all carry traffic here; the HPCC family uses the last only`,
      );
    pairs.add(pair);
    return [{ a, b, loss: errorRate, ...link }];
  });
  for (const [node, { kind, name: host }] of nodes.entries()) {
    if (kind === 'host' && cables[node] !== 1)
      throw new RangeError(`Host ${host} has ${cables[node]} cables; a host has one NIC here.`);
  }
  return { graph: { name, nodes, links }, notes };
}
