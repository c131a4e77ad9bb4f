import { decimal, type Line, rate, reject, secondsAsPs, shown, type Word, whole, wordedLines } from './trace-text.ts';

const MOST_RATES = 64;
const MOST_WHOLE = 2 ** 32 - 1;

/** ECN thresholds of the ports of one rate. */
export interface EcnAtRate {
  readonly rateBps: number;
  readonly minBytes: number;
  readonly maxBytes: number;
  /** At `maxBytes`, a fraction of 1. */
  readonly probability: number;
}

/** The configuration of the HPCC-style ns-3 family and of THEMIS, with its defaults where the file is silent (third.cc). */
export interface HpccConfig {
  readonly topologyFile: string;
  readonly flowFile: string;
  readonly fctFile: string;
  readonly enableQcn: boolean;
  readonly dynamicPfcThreshold: boolean;
  /** Payload of a full packet. */
  readonly payloadBytes: number;
  /** On the file's clock, on which flows begin at 2 s by custom. */
  readonly stopPs: number;
  /** 1 DCQCN, 3 HPCC, 7 TIMELY, 8 DCTCP, 10 HPCC-PINT; others are of forks. */
  readonly ccMode: number;
  readonly alphaResumeIntervalPs: number;
  readonly rateDecreaseIntervalPs: number;
  readonly clampTargetRate: boolean;
  readonly rpTimerPs: number | undefined;
  readonly ewmaGain: number;
  readonly fastRecoveryTimes: number;
  readonly rateAiBps: number | undefined;
  readonly rateHaiBps: number | undefined;
  readonly minRateBps: number;
  readonly dctcpRateAiBps: number;
  readonly errorRatePerLink: number;
  readonly l2ChunkBytes: number;
  /** 0: never; 1: every packet. */
  readonly l2AckInterval: number;
  /** The family's own text has it inverted: 0 is go-back-N, 1 goes back to the chunk's start. */
  readonly l2BackToZero: boolean;
  readonly hasWindow: boolean;
  readonly globalT: boolean;
  readonly varWindow: boolean;
  readonly fastReact: boolean;
  readonly targetUtilisation: number;
  readonly miThreshold: number;
  readonly intMulti: number;
  readonly multiRate: boolean;
  readonly sampleFeedback: boolean;
  readonly rateBound: boolean;
  readonly ackHighPriority: boolean;
  /** One link that goes down; `atPs` counts from 2 s on. */
  readonly linkDown: { readonly atPs: number; readonly a: number; readonly b: number } | undefined;
  /** By rate, as KMIN_MAP, KMAX_MAP and PMAX_MAP say. */
  readonly ecn: readonly EcnAtRate[];
  /** Of a switch. */
  readonly bufferBytes: number;
  /** Keys that mean nothing for a simulation here (output files, tracing), with their values as in the file. */
  readonly unused: readonly ConfigEntry[];
  /** Keys that this reader does not know, with their values as in the file. A fork's own parameters are here. */
  readonly unknown: readonly ConfigEntry[];
  readonly notes: readonly string[];
}

export interface ConfigEntry {
  readonly key: string;
  readonly value: string;
  readonly line: number;
}

type Take = (word: Word) => number;
const flag: Take = word => whole(word, { what: '0 or 1', least: 0, most: MOST_WHOLE });
const count: Take = word => whole(word, { what: 'a count', least: 0, most: MOST_WHOLE });
const positive: Take = word => decimal(word, { what: 'a number', least: 0, most: 1e15 });
const fraction: Take = word => decimal(word, { what: 'a fraction', least: 0, most: 1 });
const microseconds: Take = word => Math.round(decimal(word, { what: 'microseconds', least: 0, most: 1e9 }) * 1e6);
const speed: Take = word => rate(word, 'a rate');

/** How the one value of a key is read. */
const NUMBERS: Readonly<Record<string, Take>> = {
  ENABLE_QCN: flag,
  USE_DYNAMIC_PFC_THRESHOLD: flag,
  PACKET_PAYLOAD_SIZE: word => whole(word, { what: 'a payload in bytes', least: 64, most: 65535 }),
  SIMULATOR_STOP_TIME: word => secondsAsPs(word, 'the stop time'),
  CC_MODE: count,
  ALPHA_RESUME_INTERVAL: microseconds,
  RATE_DECREASE_INTERVAL: microseconds,
  CLAMP_TARGET_RATE: flag,
  RP_TIMER: microseconds,
  EWMA_GAIN: fraction,
  FAST_RECOVERY_TIMES: count,
  RATE_AI: speed,
  RATE_HAI: speed,
  MIN_RATE: speed,
  DCTCP_RATE_AI: speed,
  ERROR_RATE_PER_LINK: fraction,
  L2_CHUNK_SIZE: count,
  L2_ACK_INTERVAL: count,
  L2_BACK_TO_ZERO: flag,
  HAS_WIN: flag,
  GLOBAL_T: flag,
  VAR_WIN: flag,
  FAST_REACT: flag,
  U_TARGET: positive,
  MI_THRESH: count,
  INT_MULTI: count,
  MULTI_RATE: flag,
  SAMPLE_FEEDBACK: flag,
  RATE_BOUND: flag,
  ACK_HIGH_PRIO: flag,
  BUFFER_SIZE: word => whole(word, { what: 'a buffer in MiB', least: 1, most: 2 ** 20 }),
};

const TEXTS = new Set(['TOPOLOGY_FILE', 'FLOW_FILE', 'FCT_OUTPUT_FILE']);
const MAPS = new Set(['KMAX_MAP', 'KMIN_MAP', 'PMAX_MAP']);
/** Known, and without a meaning for us. PAUSE_TIME, DATA_RATE and LINK_DELAY are overridden by the topology in the family too. */
const UNUSED = new Set([
  'TRACE_FILE',
  'TRACE_OUTPUT_FILE',
  'PFC_OUTPUT_FILE',
  'PINT_LOG_BASE',
  'PINT_PROB',
  'ENABLE_TRACE',
  'QLEN_MON_FILE',
  'QLEN_MON_START',
  'QLEN_MON_END',
  'QLEN_DUMP_INTERVAL',
  'QLEN_MON_INTERVAL',
  'NIC_TOTAL_PAUSE_TIME',
  'PAUSE_TIME',
  'DATA_RATE',
  'LINK_DELAY',
]);

/**
 * Reads a configuration: a line `KEY VALUE...` each; what follows `{` or `#` in a line is comment. A repeated key counts the last
 * time, as in the family, and is noted. Unknown keys are kept in `unknown` and noted.
 *
 * @throws TraceFormatError naming file and line
 */
export function parseHpccConfig(text: string, file: string): HpccConfig {
  const numbers = new Map<string, number>();
  const texts = new Map<string, string>();
  const maps = new Map<string, ReadonlyMap<number, number>>();
  const unused: ConfigEntry[] = [];
  const unknown: ConfigEntry[] = [];
  const notes: string[] = [];
  const seen = new Set<string>();
  let linkDown: HpccConfig['linkDown'];
  for (const line of wordedLines(text, file)) {
    const words = uncommented(line);
    const key = words[0];
    if (key === undefined) continue;
    if (seen.has(key.text)) notes.push(`line ${line.number} sets ${shown(key.text)} again; the last one counts`);
    seen.add(key.text);
    const take = Object.hasOwn(NUMBERS, key.text) ? NUMBERS[key.text] : undefined;
    if (take) numbers.set(key.text, take(only(words)));
    else if (TEXTS.has(key.text)) texts.set(key.text, only(words).text);
    else if (MAPS.has(key.text)) maps.set(key.text, mapOf(words));
    else if (key.text === 'LINK_DOWN') linkDown = linkDownOf(words);
    else {
      const value = words
        .slice(1)
        .map(word => word.text)
        .join(' ');
      const entry = { key: key.text, value, line: line.number };
      if (UNUSED.has(key.text)) unused.push(entry);
      else {
        unknown.push(entry);
        notes.push(`line ${line.number}: ${shown(key.text)} is not known here and changes nothing`);
      }
    }
  }
  const text1 = (key: string): string => texts.get(key) ?? reject({ file, line: 0 }, `no ${key}; expected it`);
  const yes = (key: string, otherwise: boolean): boolean => (numbers.get(key) ?? Number(otherwise)) !== 0;
  const or = (key: string, otherwise: number): number => numbers.get(key) ?? otherwise;
  return {
    topologyFile: text1('TOPOLOGY_FILE'),
    flowFile: text1('FLOW_FILE'),
    fctFile: texts.get('FCT_OUTPUT_FILE') ?? 'fct.txt',
    enableQcn: yes('ENABLE_QCN', true),
    dynamicPfcThreshold: yes('USE_DYNAMIC_PFC_THRESHOLD', true),
    payloadBytes: or('PACKET_PAYLOAD_SIZE', 1000),
    stopPs: or('SIMULATOR_STOP_TIME', 3.01e12),
    ccMode: or('CC_MODE', 1),
    alphaResumeIntervalPs: or('ALPHA_RESUME_INTERVAL', 55e6),
    rateDecreaseIntervalPs: or('RATE_DECREASE_INTERVAL', 4e6),
    clampTargetRate: yes('CLAMP_TARGET_RATE', false),
    rpTimerPs: numbers.get('RP_TIMER'),
    // The family's own default is the integer division 1 / 16: 0.
    ewmaGain: or('EWMA_GAIN', 0),
    fastRecoveryTimes: or('FAST_RECOVERY_TIMES', 5),
    rateAiBps: numbers.get('RATE_AI'),
    rateHaiBps: numbers.get('RATE_HAI'),
    minRateBps: or('MIN_RATE', 100e6),
    dctcpRateAiBps: or('DCTCP_RATE_AI', 1000e6),
    errorRatePerLink: or('ERROR_RATE_PER_LINK', 0),
    l2ChunkBytes: or('L2_CHUNK_SIZE', 0),
    l2AckInterval: or('L2_ACK_INTERVAL', 0),
    l2BackToZero: yes('L2_BACK_TO_ZERO', false),
    hasWindow: yes('HAS_WIN', true),
    globalT: yes('GLOBAL_T', true),
    varWindow: yes('VAR_WIN', false),
    fastReact: yes('FAST_REACT', true),
    targetUtilisation: or('U_TARGET', 0.95),
    miThreshold: or('MI_THRESH', 5),
    intMulti: or('INT_MULTI', 1),
    multiRate: yes('MULTI_RATE', true),
    sampleFeedback: yes('SAMPLE_FEEDBACK', false),
    rateBound: yes('RATE_BOUND', true),
    ackHighPriority: yes('ACK_HIGH_PRIO', false),
    linkDown,
    ecn: ecnOf(maps, file),
    bufferBytes: or('BUFFER_SIZE', 16) * 2 ** 20,
    unused,
    unknown,
    notes,
  };
}

function uncommented({ words }: Line): readonly Word[] {
  const comment = words.findIndex(({ text }) => text.startsWith('{') || text.startsWith('#'));
  return comment < 0 ? words : words.slice(0, comment);
}

function only(words: readonly Word[]): Word {
  const [key, value, extra] = words as readonly [Word, Word?, Word?];
  if (value === undefined) return reject(key, `${key.text} and no value; expected one`);
  if (extra !== undefined) reject(extra, `${shown(extra.text)}; expected the end of the line`);
  return value;
}

/** `COUNT RATE VALUE RATE VALUE ...` */
function mapOf(words: readonly Word[]): ReadonlyMap<number, number> {
  const [key, first] = words as readonly [Word, Word?];
  if (first === undefined) return reject(key, `${key.text} and no value; expected COUNT RATE VALUE ...`);
  const pairs = whole(first, { what: 'a count of rates', least: 0, most: MOST_RATES });
  if (words.length !== 2 + 2 * pairs)
    reject(key, `${key.text} has ${words.length - 2} numbers after its count; expected ${2 * pairs}`);
  const map = new Map<number, number>();
  for (let i = 0; i < pairs; i += 1) {
    const rateBps = whole(words[2 + 2 * i] as Word, { what: 'a rate in bit/s', least: 1, most: 1e15 });
    const value = words[3 + 2 * i] as Word;
    map.set(rateBps, key.text === 'PMAX_MAP' ? fraction(value) : whole(value, { what: 'KB', least: 0, most: 1e9 }));
  }
  return map;
}

function ecnOf(maps: ReadonlyMap<string, ReadonlyMap<number, number>>, file: string): readonly EcnAtRate[] {
  const rates = new Set([...maps.values()].flatMap(map => [...map.keys()]));
  const valueOf = (key: string, rateBps: number): number =>
    maps.get(key)?.get(rateBps) ??
    reject({ file, line: 0 }, `${key} says nothing for ${rateBps} bit/s, which another map names; expected it`);
  return [...rates]
    .toSorted((a, b) => a - b)
    .map(rateBps => {
      const minBytes = valueOf('KMIN_MAP', rateBps) * 1000;
      const maxBytes = valueOf('KMAX_MAP', rateBps) * 1000;
      if (minBytes > maxBytes)
        reject({ file, line: 0 }, `KMIN ${minBytes} B is over KMAX ${maxBytes} B for ${rateBps} bit/s`);
      return { rateBps, minBytes, maxBytes, probability: valueOf('PMAX_MAP', rateBps) };
    });
}

function linkDownOf(words: readonly Word[]): HpccConfig['linkDown'] {
  const [key, at, a, b, extra] = words as readonly [Word, Word?, Word?, Word?, Word?];
  if (at === undefined || a === undefined || b === undefined)
    return reject(key, 'LINK_DOWN needs three numbers: microseconds, node, node');
  if (extra !== undefined) reject(extra, `${shown(extra.text)}; expected the end of the line`);
  const node = { what: 'a node', least: 0, most: 65535 };
  const down = { atPs: microseconds(at), a: whole(a, node), b: whole(b, node) };
  return down.atPs === 0 ? undefined : down;
}
