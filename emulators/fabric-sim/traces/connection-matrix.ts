import { decimal, reject, shown, type Line, type Word, whole, wordedLines } from './trace-text.ts';

const MOST_NODES = 2 ** 20;
const MOST_CONNECTIONS = 2 ** 22;
const MOST_ID = 2 ** 32 - 1;

/** One flow of an htsim connection matrix (`.cm`). */
export interface MatrixConnection {
  readonly source: number;
  readonly target: number;
  /** 0 when the file gives none: such a flow can not be started by a trigger. */
  readonly id: number;
  /** Infinity for an endless flow: htsim reads no size and size 0 so. */
  readonly bytes: number;
  /** When it starts, unless a trigger starts it. */
  readonly startPs: number | undefined;
  /** Trigger that starts it. */
  readonly trigger: number | undefined;
  /** Trigger that it activates when its last byte is acknowledged at the sender. */
  readonly sendDoneTrigger: number | undefined;
  /** Trigger that it activates when its last byte is at the receiver. */
  readonly recvDoneTrigger: number | undefined;
  readonly priority: number | undefined;
  readonly addOn: boolean;
}

/**
 * What starts flows when others are done (htsim, `trigger.h`). `oneshot` starts all its flows at its one activation;
 * `multishot` the next one, in the order of the file, at each; `barrier` all of them at activation number `count`.
 */
export interface MatrixTrigger {
  readonly id: number;
  readonly kind: 'oneshot' | 'multishot' | 'barrier';
  /** Of a barrier; 0 for the others. */
  readonly count: number;
}

/** A link that htsim is told to degrade. */
export interface MatrixFailure {
  readonly switchType: 'TOR' | 'AGG' | 'CORE';
  readonly switchId: number;
  readonly linkId: number;
}

export interface ConnectionMatrix {
  readonly nodes: number;
  readonly connections: readonly MatrixConnection[];
  readonly triggers: readonly MatrixTrigger[];
  readonly failures: readonly MatrixFailure[];
}

/**
 * Reads an htsim connection matrix, as `ConnectionMatrix::load` does (csg-htsim, sim/datacenter/connection_matrix.cpp): a header of
 * `Nodes`, `Connections`, `Triggers`, `Failures`, then lines `0->8 id 1 start 0 size 2000000`, `trigger id 1 oneshot` and
 * `failure switch_type TOR switch_id 0 link_id 1`. Starts are picoseconds. What htsim ends with an assertion is an error here too.
 *
 * @throws TraceFormatError naming file and line
 */
export function parseConnectionMatrix(text: string, file: string): ConnectionMatrix {
  const declared = new Map<string, { readonly count: number; readonly line: number }>();
  const connections: MatrixConnection[] = [];
  const lineOf: number[] = [];
  const triggers = new Map<number, MatrixTrigger>();
  const failures: MatrixFailure[] = [];
  for (const line of wordedLines(text, file)) {
    const first = line.words[0] as Word;
    if (first.text.startsWith('#')) continue;
    if (HEADER.has(first.text)) {
      if (connections.length + triggers.size + failures.length > 0)
        reject(first, `${first.text} after the first connection; expected it in the header`);
      if (declared.has(first.text)) reject(first, `${first.text} a second time; expected it once`);
      const most = first.text === 'Nodes' ? MOST_NODES : MOST_CONNECTIONS;
      const count = whole(wordAt(line, 1, 'a count'), { what: `the count of ${first.text}`, least: 0, most });
      ends(line, 2);
      declared.set(first.text, { count, line: line.number });
    } else if (first.text.includes('->')) {
      const nodes = declared.get('Nodes')?.count;
      if (nodes === undefined) return reject(first, 'a connection before Nodes; expected Nodes in the header');
      if (connections.length >= MOST_CONNECTIONS)
        reject(first, `more than ${MOST_CONNECTIONS} connections; expected fewer`);
      connections.push(connectionOf(line, nodes));
      lineOf.push(line.number);
    } else if (first.text === 'trigger') {
      const trigger = triggerOf(line);
      if (triggers.has(trigger.id)) reject(first, `trigger ${trigger.id} a second time; expected each once`);
      triggers.set(trigger.id, trigger);
    } else if (first.text === 'failure') failures.push(failureOf(line));
    else
      reject(
        first,
        `${shown(first.text)}; expected Nodes, Connections, Triggers, Failures, SRC->DST, trigger or failure`,
      );
  }
  const nodes = declared.get('Nodes')?.count;
  if (nodes === undefined) return reject({ file, line: 0 }, 'no Nodes; expected it in the header');
  const matrix = { nodes, connections, triggers: [...triggers.values()], failures };
  for (const [header, found] of [
    ['Connections', connections.length],
    ['Triggers', triggers.size],
    ['Failures', failures.length],
  ] as const) {
    const { count, line } = declared.get(header) ?? { count: 0, line: 0 };
    if (count !== found) reject({ file, line }, `${header} ${count}, but the file has ${found}`);
  }
  checkTriggers(matrix, index => ({ file, line: lineOf[index] as number }));
  return matrix;
}

const HEADER = new Set(['Nodes', 'Connections', 'Triggers', 'Failures']);

function wordAt({ words }: Line, index: number, expected: string): Word {
  const word = words[index];
  if (word === undefined) return reject(words.at(-1) as Word, `the line ends here; expected ${expected}`);
  return word;
}

function ends({ words }: Line, count: number): void {
  const extra = words[count];
  if (extra !== undefined) reject(extra, `${shown(extra.text)}; expected the end of the line`);
}

function connectionOf(line: Line, nodes: number): MatrixConnection {
  const first = line.words[0] as Word;
  const [, from, to] = /^(\d+)->(\d+)$/.exec(first.text) ?? [];
  if (from === undefined || to === undefined)
    return reject(first, `${shown(first.text)}; expected SOURCE->TARGET with two node numbers`);
  const node = (text: string) => whole({ ...first, text }, { what: 'a node', least: 0, most: nodes - 1 });
  const source = node(from);
  const target = node(to);
  if (source === target) reject(first, `${shown(first.text)}; expected two different nodes`);
  const given = new Map<string, number>();
  let addOn = false;
  for (let i = 1; i < line.words.length; i += 1) {
    const key = line.words[i] as Word;
    if (key.text === 'addon') {
      addOn = true;
      continue;
    }
    const range = KEYS[key.text];
    if (!Object.hasOwn(KEYS, key.text) || range === undefined)
      return reject(key, `unknown keyword ${shown(key.text)}; expected one of ${Object.keys(KEYS).join(', ')}, addon`);
    if (given.has(key.text)) reject(key, `${key.text} a second time; expected it once`);
    i += 1;
    const value = wordAt(line, i, `the value of ${key.text}`);
    const limits = { what: key.text, ...range };
    given.set(key.text, key.text === 'start' ? Math.round(decimal(value, limits)) : whole(value, limits));
  }
  const startPs = given.get('start');
  const trigger = given.get('trigger');
  if (startPs === undefined && trigger === undefined) reject(first, 'neither start nor trigger; expected one of them');
  if (startPs !== undefined && trigger !== undefined) reject(first, 'start and trigger; expected one of them');
  const id = given.get('id') ?? 0;
  if (trigger !== undefined && id === 0) reject(first, 'a triggered flow without id; expected id N');
  return {
    source,
    target,
    id,
    bytes: given.get('size') || Number.POSITIVE_INFINITY,
    startPs,
    trigger,
    sendDoneTrigger: given.get('send_done_trigger'),
    recvDoneTrigger: given.get('recv_done_trigger'),
    priority: given.get('prio'),
    addOn,
  };
}

const KEYS: Readonly<Record<string, { readonly least: number; readonly most: number }>> = {
  id: { least: 1, most: MOST_ID },
  start: { least: 0, most: 7.2e15 },
  size: { least: 0, most: Number.MAX_SAFE_INTEGER },
  trigger: { least: 1, most: MOST_ID },
  send_done_trigger: { least: 1, most: MOST_ID },
  recv_done_trigger: { least: 1, most: MOST_ID },
  prio: { least: 0, most: MOST_ID },
};

function triggerOf(line: Line): MatrixTrigger {
  const first = line.words[0] as Word;
  let id: number | undefined;
  let count: number | undefined;
  let kind: MatrixTrigger['kind'] | undefined;
  for (let i = 1; i < line.words.length; i += 1) {
    const { text } = line.words[i] as Word;
    if (text === 'id' || text === 'count') {
      i += 1;
      const value = whole(wordAt(line, i, `the value of ${text}`), { what: text, least: 1, most: MOST_ID });
      if (text === 'id') id = value;
      else count = value;
    } else if (text === 'oneshot' || text === 'multishot' || text === 'barrier') {
      if (kind !== undefined) reject(line.words[i] as Word, `${text} beside ${kind}; expected one kind`);
      kind = text;
    } else
      reject(
        line.words[i] as Word,
        `unknown keyword ${shown(text)}; expected id, count, oneshot, multishot or barrier`,
      );
  }
  if (id === undefined) return reject(first, 'a trigger without id; expected id N');
  if (kind === undefined) return reject(first, 'a trigger without kind; expected oneshot, multishot or barrier');
  if (kind === 'barrier' && count === undefined) return reject(first, 'a barrier without count; expected count N');
  return { id, kind, count: count ?? 0 };
}

function failureOf(line: Line): MatrixFailure {
  const given = new Map<string, Word>();
  for (let i = 1; i < line.words.length; i += 2) {
    const key = line.words[i] as Word;
    if (!['switch_type', 'switch_id', 'link_id'].includes(key.text))
      reject(key, `unknown keyword ${shown(key.text)}; expected switch_type, switch_id or link_id`);
    given.set(key.text, wordAt(line, i + 1, `the value of ${key.text}`));
  }
  const of = (key: string): Word => {
    const word = given.get(key);
    if (word === undefined) return reject(line.words[0] as Word, `a failure without ${key}; expected ${key}`);
    return word;
  };
  const type = of('switch_type');
  if (type.text !== 'TOR' && type.text !== 'AGG' && type.text !== 'CORE')
    return reject(type, `${shown(type.text)}; expected TOR, AGG or CORE`);
  return {
    switchType: type.text,
    switchId: whole(of('switch_id'), { what: 'a switch', least: 0, most: MOST_NODES }),
    linkId: whole(of('link_id'), { what: 'a link', least: 0, most: MOST_NODES }),
  };
}

/** What would end htsim with an assertion at run time: a trigger that nothing declares, or that fires more often than it can. */
function checkTriggers(
  { connections, triggers }: ConnectionMatrix,
  placeOf: (connection: number) => Pick<Word, 'file' | 'line'>,
): void {
  const kinds = new Map(triggers.map(trigger => [trigger.id, trigger]));
  const activations = new Map<number, number>();
  for (const [i, { trigger, sendDoneTrigger, recvDoneTrigger }] of connections.entries()) {
    for (const id of [trigger, sendDoneTrigger, recvDoneTrigger])
      if (id !== undefined && !kinds.has(id)) reject(placeOf(i), `trigger ${id} is not declared in this file`);
    for (const id of [sendDoneTrigger, recvDoneTrigger]) {
      if (id === undefined) continue;
      const times = (activations.get(id) ?? 0) + 1;
      activations.set(id, times);
      const { kind, count } = kinds.get(id) as MatrixTrigger;
      const most = kind === 'oneshot' ? 1 : kind === 'barrier' ? count : Number.POSITIVE_INFINITY;
      if (times > most) reject(placeOf(i), `${kind} ${id} is activated ${times} times; expected at most ${most}`);
    }
  }
}

/** The matrix in htsim's format; `parseConnectionMatrix` reads it back equal. */
export function writeConnectionMatrix({ nodes, connections, triggers, failures }: ConnectionMatrix): string {
  const header = [
    `Nodes ${nodes}`,
    `Connections ${connections.length}`,
    ...(triggers.length > 0 ? [`Triggers ${triggers.length}`] : []),
    ...(failures.length > 0 ? [`Failures ${failures.length}`] : []),
  ];
  const flows = connections.map(connection =>
    [
      `${connection.source}->${connection.target}`,
      ...(connection.id > 0 ? [`id ${connection.id}`] : []),
      ...(connection.startPs === undefined ? [] : [`start ${connection.startPs}`]),
      ...(connection.trigger === undefined ? [] : [`trigger ${connection.trigger}`]),
      ...(Number.isFinite(connection.bytes) ? [`size ${connection.bytes}`] : []),
      ...(connection.sendDoneTrigger === undefined ? [] : [`send_done_trigger ${connection.sendDoneTrigger}`]),
      ...(connection.recvDoneTrigger === undefined ? [] : [`recv_done_trigger ${connection.recvDoneTrigger}`]),
      ...(connection.priority === undefined ? [] : [`prio ${connection.priority}`]),
      ...(connection.addOn ? ['addon'] : []),
    ].join(' '),
  );
  const tail = [
    ...triggers.map(({ id, kind, count }) => `trigger id ${id} ${kind}${count > 0 ? ` count ${count}` : ''}`),
    ...failures.map(f => `failure switch_type ${f.switchType} switch_id ${f.switchId} link_id ${f.linkId}`),
  ];
  return `${[...header, ...flows, ...tail].join('\n')}\n`;
}
