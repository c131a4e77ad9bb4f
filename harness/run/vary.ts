import type { Fault } from '../model/fault.ts';
import { nearMiss, suggest } from '../model/near-miss.ts';
import { DEFAULT_PROBES_PER_SECOND } from '../model/plan.ts';
import type { Plan } from '../model/plan.ts';
import type { FabricSettings, Topology } from '../model/topology.ts';
import { magnitude, UNITS_OF } from '../model/units.ts';
import type { Quantity } from '../model/units.ts';

/** A variation names nothing in the plan, or gives it a value that can not stand there. The user is to type another. */
export class VariationError extends Error {
  override readonly name = 'VariationError';
}

/** What in a plan is other than declared: a path with `*` wildcards to a value as text. */
export type Settings = Readonly<Record<string, string>>;

/** The value that leaves a place as the scenario declares it, so that a matrix can hold the scenario itself. */
export const DECLARED = 'declared';

type Kind = keyof typeof UNITS_OF;

/** Words that a plan chooses among, by the name of their place. */
const CHOICES: Readonly<Record<string, readonly string[]>> = {
  algorithm: ['ring', 'hierarchical'],
  direction: ['both', 'a-to-b', 'b-to-a'],
  light: ['lost', 'kept'],
  decision: ['simple', 'guarded'],
  loadBalancing: ['ecmp', 'adaptive', 'spray'],
  recovery: ['go-back-n', 'selective-repeat'],
  spreading: ['flow', 'oblivious', 'bitmap', 'reps', 'mixed'],
};

/** The place of a congestion control law's name, of which only the world knows which there are. */
const LAW = 'topology.settings.transport.control';

/** Mechanisms of the fabric that `null` turns off. */
const CAN_BE_OFF: ReadonlySet<string> = new Set([
  'topology.settings.ecn',
  'topology.settings.pfc',
  'topology.settings.dcqcn',
]);

/** What a plan may leave unsaid, and a value of the type that stands there. */
const UNSAID: Readonly<Record<string, string | number>> = {
  'topology.settings.roce.window': '64 KiB',
  'topology.settings.switching.loadBalancing': 'ecmp',
  [LAW]: 'none',
  'topology.settings.transport.recovery': 'go-back-n',
  'topology.settings.transport.spreading': 'flow',
  'load.queuePairs': 1,
  offered: '95 %',
  decision: 'simple',
};

const PROBES = 'probes.packetsPerSecond';

/** Places whose holder may be unsaid as well, each with what makes it. */
const UNSAID_HOLDERS: Readonly<Record<string, (plan: Changing) => void>> = {
  [PROBES]: plan => void (plan.probes ??= { packetsPerSecond: DEFAULT_PROBES_PER_SECOND }),
  'topology.settings.switching.loadBalancing': plan => void (plan.topology.settings.switching ??= {}),
  [LAW]: plan => void (plan.topology.settings.transport ??= { control: 'none' }),
};

/** A copy of a plan, parts of which may be put in place. */
type Changing = { -readonly [K in keyof Omit<Plan, 'topology'>]: Plan[K] } & {
  topology: Omit<Topology, 'settings'> & { settings: { -readonly [K in keyof FabricSettings]: FabricSettings[K] } };
};

/** More places than any path of a fabric that we can simulate names. */
const MOST_PLACES = 1_000_000;

type Node = Record<string, unknown> | unknown[];

interface Place {
  readonly holder: Node;
  readonly key: string;
  readonly path: string;
}

const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null;

/**
 * The plan with some of its values replaced. A setting is a path of keys (`topology.settings.ecn.min`, `load.bytes`), in which `*`
 * stands for any run of characters within one key, and things in a list go by their number or their `name`. The value is read in the
 * unit type that stands there. Wider paths are applied before narrower ones, whatever their order. Faults follow the topology.
 *
 * @throws VariationError when a path names nothing or a value can not stand where it points
 */
export function vary(declared: Plan, settings: Settings): Plan {
  const entries = inOrder(settings);
  if (entries.length === 0) return declared;
  const plan = JSON.parse(JSON.stringify(declared)) as Changing;
  for (const [path, text] of entries) {
    if (Object.hasOwn(UNSAID_HOLDERS, path)) {
      if (text === DECLARED) continue;
      UNSAID_HOLDERS[path]?.(plan);
    }
    for (const { holder, key, path: at } of placesOf(plan, path)) {
      if (text === DECLARED) continue;
      const [now] = valueAt(holder, key, at);
      put(holder, key, readAs(now, text, { key, path: at }));
    }
  }
  return { ...plan, phases: followed(plan) };
}

/** Wildcards first, so that what is said of one place stands. `*` sorts before letters and digits. */
export const inOrder = (settings: Settings): readonly (readonly [string, string])[] =>
  Object.entries(settings).toSorted(([a], [b]) => (a < b ? -1 : 1));

/** What `text` is at `path` of the plan, for an axis: the kind of unit, or undefined for a word or a bare number. */
export function kindAt(plan: Plan, path: string): Kind | 'number' | undefined {
  if (path === PROBES) return 'number';
  const [first] = placesOf(plan, path);
  if (!first) return undefined;
  const [value] = valueAt(first.holder, first.key, first.path);
  if (typeof value === 'number') return 'number';
  return typeof value === 'string' ? kindOf(value) : undefined;
}

function placesOf(plan: Plan, path: string): readonly Place[] {
  const segments = path.split('.');
  if (path === '' || segments.some(segment => segment === ''))
    throw new VariationError(`"${path}" is no path. Write keys with dots between, such as topology.spans.*.length.`);
  let places: Place[] = [];
  let nodes: { readonly node: unknown; readonly path: string }[] = [{ node: plan, path: '' }];
  for (const [i, segment] of segments.entries()) {
    const found = nodes.flatMap(({ node, path: at }) =>
      keysIn(node, segment, at).map(key => ({ holder: node as Node, key, path: at === '' ? key : `${at}.${key}` })),
    );
    if (found.length === 0) throw nothingThere(nodes, segments, i);
    if (found.length > MOST_PLACES) throw new VariationError(`"${path}" names more than ${MOST_PLACES} places.`);
    places = found;
    nodes = found.map(place => ({
      node: (place.holder as Record<string, unknown>)[place.key],
      path: place.path,
    }));
  }
  return places;
}

/** The keys of a node that a segment names. */
function keysIn(node: unknown, segment: string, at: string): readonly string[] {
  if (!isNode(node)) return [];
  if (!segment.includes('*')) {
    if (Object.hasOwn(node, segment) && !(Array.isArray(node) && segment === 'length')) return [segment];
    if (Array.isArray(node)) {
      const index = node.findIndex(one => isNode(one) && (one as { name?: unknown }).name === segment);
      return index < 0 ? [] : [String(index)];
    }
    const unsaid = at === '' ? segment : `${at}.${segment}`;
    return isUnsaid(node, unsaid) ? [segment] : [];
  }
  const keys = Object.keys(node);
  if (segment === '*') return keys;
  return keys.filter(key => {
    const name = Array.isArray(node) ? (node[Number(key)] as { name?: unknown } | null)?.name : undefined;
    return matches(segment, typeof name === 'string' ? name : key);
  });
}

/** Fields that the type has and this plan leaves out. */
const isUnsaid = (node: Node, path: string): boolean =>
  path === 'load.queuePairs' ? (node as { kind?: unknown }).kind === 'all-reduce' : Object.hasOwn(UNSAID, path);

/** Glob of `*` only, in linear time: each piece at the first place where it can stand. */
function matches(pattern: string, text: string): boolean {
  const pieces = pattern.split('*');
  const first = pieces.shift() ?? '';
  const last = pieces.pop() ?? '';
  if (!text.startsWith(first) || text.length < first.length + last.length || !text.endsWith(last)) return false;
  let from = first.length;
  const end = text.length - last.length;
  for (const piece of pieces) {
    const at = text.indexOf(piece, from);
    if (at < 0 || at + piece.length > end) return false;
    from = at + piece.length;
  }
  return true;
}

/** Keys as a reader would type them: things in a list by their names. */
const shownKeys = (node: Node): readonly string[] =>
  Array.isArray(node)
    ? node.map((one: unknown, i) => {
        const name = isNode(one) ? (one as { name?: unknown }).name : undefined;
        return typeof name === 'string' ? name : String(i);
      })
    : Object.keys(node);

function nothingThere(
  nodes: readonly { readonly node: unknown; readonly path: string }[],
  segments: readonly string[],
  i: number,
): VariationError {
  const path = segments.join('.');
  const before = segments.slice(0, i).join('.');
  const segment = segments[i] ?? '';
  const inner = nodes.filter(({ node }) => isNode(node));
  const where = before === '' ? 'the plan' : before;
  if (inner.length === 0) {
    const value = nodes[0]?.node;
    const why = value === null ? 'is off (null)' : `is ${JSON.stringify(value)}`;
    return new VariationError(`"${path}" names nothing: ${where} ${why} and has no "${segment}".`);
  }
  const known = [...new Set(inner.flatMap(({ node }) => shownKeys(node as Node)))];
  const prefix = before === '' ? '' : `${before}.`;
  const unsaid = Object.keys(UNSAID)
    .filter(one => one.startsWith(prefix) && !one.slice(prefix.length).includes('.'))
    .map(one => one.slice(prefix.length));
  if (known.length === 0) return new VariationError(`"${path}" names nothing: ${where} is empty.`);
  return new VariationError(
    `"${path}" names nothing: ${where} has no "${segment}". ${suggest({ word: segment, known: [...new Set([...known, ...unsaid])], what: 'there' })}`,
  );
}

function valueAt(holder: Node, key: string, path: string): readonly [unknown] {
  if (Object.hasOwn(holder, key)) return [(holder as Record<string, unknown>)[key]];
  return [UNSAID[path]];
}

function put(holder: Node, key: string, value: unknown): void {
  (holder as Record<string, unknown>)[key] = value;
}

/** A value of the type that stands there now. */
function readAs(now: unknown, text: string, { key, path }: { readonly key: string; readonly path: string }): unknown {
  const refuse = (why: string): VariationError => new VariationError(`${path}=${text}: ${why}`);
  if (text === 'null' && CAN_BE_OFF.has(path)) return null;
  if (isNode(now)) {
    const [inner = ''] = Object.keys(now);
    throw refuse(
      `${path} holds other values${CAN_BE_OFF.has(path) ? '; only null (off) can stand here' : ''}. Vary one of them, such as ${path}.${inner}.`,
    );
  }
  if (now === null)
    throw refuse('it is off in this scenario, and its values are not known. Turn it on in the scenario.');
  if (typeof now === 'number') {
    const value = Number(text);
    if (!/^-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) || !Number.isFinite(value))
      throw refuse(`a bare number stands here, such as ${now}.`);
    if (value < 0) throw refuse('it can not be below 0.');
    return value;
  }
  if (typeof now !== 'string') throw refuse('only quantities, numbers and choices can be varied.');
  if (path === LAW) {
    if (/^[a-z][a-z0-9-]*$/.test(text)) return text;
    throw refuse("the name of a congestion control law stands here, such as dcqcn, or 'none'.");
  }
  const choices = Object.hasOwn(CHOICES, key) ? CHOICES[key] : undefined;
  if (choices?.includes(now)) {
    if (choices.includes(text)) return text;
    throw refuse(suggest({ word: text, known: choices, what: 'choices' }));
  }
  const kind = kindOf(now);
  if (kind === undefined)
    throw refuse(`"${now}" is a name or a sentence. Only quantities, numbers and choices can be varied.`);
  const units: readonly string[] = UNITS_OF[kind];
  const given = kindOf(text);
  // '5 rounds' and '20 ms' may both be the length of a phase.
  if (given === kind || (key === 'for' && (given === 'duration' || given === 'rounds'))) {
    if (magnitude(text as Quantity) < 0) throw refuse('it can not be below 0.');
    return text;
  }
  const typed = text.split(' ')[1];
  const near = typed === undefined || given !== undefined ? undefined : nearMiss(typed, units);
  throw refuse(
    `a ${kind} stands here, such as ${now}; ${given === undefined ? 'this is no quantity' : `this is a ${given}`}.${near === undefined ? '' : ` Did you mean "${near}"?`} Units: ${units.join(', ')}.`,
  );
}

function kindOf(text: string): Kind | undefined {
  try {
    magnitude(text as Quantity);
  } catch {
    return undefined;
  }
  const unit = text.split(' ')[1] ?? '';
  return (Object.keys(UNITS_OF) as Kind[]).find(kind => (UNITS_OF[kind] as readonly string[]).includes(unit));
}

/** Faults hold the span, link or switch that they are on, whole: it is to be the one of the topology as varied. */
function followed({ phases, topology }: Plan): Plan['phases'] {
  const links = new Map(topology.links.map(link => [link.name, link]));
  const spans = new Map(Object.entries(topology.spans));
  const follow = (fault: Fault): Fault => {
    if ('span' in fault) return { ...fault, span: spans.get(fault.span.name) ?? fault.span };
    return 'link' in fault ? { ...fault, link: links.get(fault.link.name) ?? fault.link } : fault;
  };
  return Object.fromEntries(
    Object.entries(phases).map(([name, phase]) => [
      name,
      phase.faults === undefined ? phase : { ...phase, faults: phase.faults.map(follow) },
    ]),
  );
}
