import type {
  DcqcnSettings,
  EcnSettings,
  FabricSettings,
  PfcSettings,
  SwitchingSettings,
  TransportSettings,
} from '../model/topology.ts';
import { magnitude, type Quantity, type Size } from '../model/units.ts';

const MARKS_AT = ['enqueue', 'dequeue', 'end'] as const satisfies readonly EcnSettings['at'][];
const BEYOND_MAX = ['all', 'extended'] as const satisfies readonly EcnSettings['beyondMax'][];
const FRAME_DELAYS = ['link', 'none'] as const satisfies readonly PfcSettings['frameDelay'][];
const HASHED = ['five-tuple', 'addresses'] as const satisfies readonly SwitchingSettings['ecmpFields'][];
const LOAD_BALANCING = ['ecmp', 'adaptive', 'spray'] as const satisfies readonly SwitchingSettings['loadBalancing'][];
const VICTIMS = ['arriving', 'either'] as const satisfies readonly SwitchingSettings['trimVictim'][];
const RELEASES = ['start', 'end'] as const satisfies readonly SwitchingSettings['releaseAt'][];
const RECOVERIES = ['go-back-n', 'selective-repeat'] as const satisfies readonly TransportSettings['recovery'][];
const SPREADINGS = [
  'flow',
  'oblivious',
  'bitmap',
  'reps',
  'mixed',
] as const satisfies readonly TransportSettings['spreading'][];
const MOST_PATHS = 32768;
const PRIORITIES = 8;
/** Sixteen bits. */
const MOST_QUANTA = 65_535;
/** What a packet of any network carries at most, by IPv4's length field; the least is RoCE's. */
const MTU_BYTES = { least: 256, most: 65_535 } as const;

/**
 * What a fabric's settings say that no world could do, or only as another fabric than was meant: words that are none, numbers out of their
 * range, thresholds the wrong way round, parts that want others. Names of congestion control laws and of their parameters are the world's business, which refuses those it does not know.
 */
export function* settingMistakes(settings: FabricSettings): Generator<string> {
  const { ecn, pfc, dcqcn, transport, switching } = settings;
  yield* sizeMistakes('bufferPerSwitch', settings.bufferPerSwitch);
  yield* roceMistakes(settings);
  if (ecn) yield* ecnMistakes(ecn);
  if (dcqcn) yield* dcqcnMistakes(dcqcn);
  yield* wordMistakes('ecn.at', ecn?.at, MARKS_AT);
  yield* wordMistakes('ecn.beyondMax', ecn?.beyondMax, BEYOND_MAX);
  if (pfc) yield* pfcMistakes(pfc);
  if (ecn?.at === 'end' && switching?.releaseAt !== 'end')
    yield "settings.ecn.at 'end' marks as a transmission ends, so switching.releaseAt 'end' is needed.";
  if (switching) yield* switchingMistakes(switching);
  if (transport) yield* transportMistakes(transport);
  if (switching?.trimTo !== undefined && transport?.recovery !== 'selective-repeat')
    yield "settings.switching.trimTo: a trimmed packet is sent again alone, so transport.recovery 'selective-repeat' is needed.";
}

function* pfcMistakes({
  xoff,
  xon,
  headroom,
  frameDelay,
  quanta,
  watchdog,
  freeShare,
}: PfcSettings): Generator<string> {
  if (!(valueOf(xoff) > 0 && valueOf(xon) >= 0 && valueOf(xon) <= valueOf(xoff)))
    yield `settings.pfc pauses at "${xoff}" and resumes at "${xon}"; the first is a size above 0, the second not above it.`;
  if (headroom !== undefined && !(valueOf(headroom) >= 0))
    yield `settings.pfc.headroom is "${headroom}", which is no size.`;
  yield* wordMistakes('pfc.frameDelay', frameDelay, FRAME_DELAYS);
  if (quanta !== undefined && !(Number.isInteger(quanta) && quanta >= 1 && quanta <= MOST_QUANTA))
    yield `settings.pfc.quanta is ${quanta}; a pause frame says 1 to ${MOST_QUANTA}.`;
  if (typeof freeShare === 'number' && !(freeShare > 0))
    yield `settings.pfc.freeShare is ${freeShare}; it is a multiple above 0 of the free buffer, or null.`;
  for (const name of ['detection', 'restoration'] as const)
    if (watchdog !== undefined && !(magnitude(watchdog[name]) > 0))
      yield `settings.pfc.watchdog.${name} is "${watchdog[name]}"; it is a time above 0.`;
}

function* roceMistakes({ roce: { mtu, window } }: FabricSettings): Generator<string> {
  const mtuBytes = valueOf(mtu);
  if (!(Number.isInteger(mtuBytes) && mtuBytes >= MTU_BYTES.least && mtuBytes <= MTU_BYTES.most))
    yield `settings.roce.mtu is "${mtu}"; it is ${MTU_BYTES.least} to ${MTU_BYTES.most} bytes.`;
  else if (window !== undefined && !(valueOf(window) >= mtuBytes))
    yield `settings.roce.window is "${window}", which holds no packet of ${mtu}.`;
}

function* ecnMistakes({ min, max, probability, perRate = [] }: EcnSettings): Generator<string> {
  for (const [at, one] of [
    ['ecn', { min, max, probability }] as const,
    ...perRate.map((rated, i) => [`ecn.perRate.${i}`, rated] as const),
  ]) {
    if (!(valueOf(one.min) >= 0 && valueOf(one.min) <= valueOf(one.max)))
      yield `settings.${at} marks from "${one.min}" to "${one.max}"; the first is a size, and not above the second.`;
    if (!(one.probability >= 0 && one.probability <= 1))
      yield `settings.${at}.probability is ${one.probability}; it is a fraction from 0 to 1.`;
  }
}

function* dcqcnMistakes(dcqcn: DcqcnSettings): Generator<string> {
  for (const name of ['alphaTimer', 'rateReducePeriod', 'increaseTimer', 'byteCounter', 'minRate'] as const)
    if (!(valueOf(dcqcn[name]) > 0)) yield `settings.dcqcn.${name} is "${dcqcn[name]}"; it is more than 0.`;
  if (!(dcqcn.g > 0 && dcqcn.g <= 1)) yield `settings.dcqcn.g is ${dcqcn.g}; it is a share above 0 and up to 1.`;
}

/** NaN for what is no quantity. */
function valueOf(quantity: Quantity): number {
  try {
    return magnitude(quantity);
  } catch {
    return Number.NaN;
  }
}

function* switchingMistakes(switching: SwitchingSettings): Generator<string> {
  const { loadBalancing, trimVictim, releaseAt, priorities, ecmpSeed, lossyShare, nicControlRun } = switching;
  yield* wordMistakes('switching.loadBalancing', loadBalancing, LOAD_BALANCING);
  yield* wordMistakes('switching.ecmpFields', switching.ecmpFields, HASHED);
  yield* wordMistakes('switching.trimVictim', trimVictim, VICTIMS);
  yield* wordMistakes('switching.releaseAt', releaseAt, RELEASES);
  for (const name of ['queueLimit', 'controlQueueLimit', 'trimTo'] as const)
    yield* sizeMistakes(`switching.${name}`, switching[name]);
  for (const [use, priority] of Object.entries(priorities ?? {}))
    if (!(Number.isInteger(priority) && priority >= 0 && priority < PRIORITIES))
      yield `settings.switching.priorities.${use} is ${priority}; priorities are 0 to ${PRIORITIES - 1}.`;
  yield* wholeMistakes('switching.ecmpSeed', ecmpSeed, { least: 0 });
  yield* wholeMistakes('switching.nicControlRun', nicControlRun, { least: 0 });
  if (lossyShare !== undefined && !(lossyShare > 0))
    yield `settings.switching.lossyShare is ${lossyShare}; it is a multiple above 0 of the free buffer.`;
}

function* transportMistakes(transport: TransportSettings): Generator<string> {
  const { control, parameters, recovery = 'go-back-n', spreading = 'flow', paths, selectiveRepeat } = transport;
  if (typeof control !== 'string' || !/^[a-z][a-z0-9-]*$/.test(control))
    yield `settings.transport.control is ${JSON.stringify(control)}; name a congestion control law, such as 'dcqcn', or 'none'.`;
  for (const [name, value] of Object.entries(parameters ?? {}))
    if (typeof value !== 'number' || !Number.isFinite(value))
      yield `settings.transport.parameters.${name} is ${JSON.stringify(value)}; a law's parameters are numbers, with the unit in their name.`;
  if (control === 'none' && Object.keys(parameters ?? {}).length > 0)
    yield "settings.transport has parameters, but control is 'none'.";
  yield* wordMistakes('transport.recovery', recovery, RECOVERIES);
  yield* wordMistakes('transport.spreading', spreading, SPREADINGS);
  yield* wholeMistakes('transport.acknowledgeEvery', transport.acknowledgeEvery, { least: 1 });
  yield* sizeMistakes('transport.acknowledgementBytes', transport.acknowledgementBytes);
  if (paths !== undefined && !(paths >= 1 && paths <= MOST_PATHS && Number.isInteger(Math.log2(paths))))
    yield `settings.transport.paths is ${paths}; it is a power of two from 1 to ${MOST_PATHS}.`;
  if (recovery === 'selective-repeat') return;
  if (spreading !== 'flow')
    yield `settings.transport.spreading '${spreading}' reorders every flow, which go-back-N answers by sending all again: recovery 'selective-repeat' is needed.`;
  if (selectiveRepeat !== undefined)
    yield "settings.transport.selectiveRepeat is said, but recovery is not 'selective-repeat'.";
}

function* wordMistakes(at: string, word: string | undefined, known: readonly string[]): Generator<string> {
  if (word !== undefined && !known.includes(word))
    yield `settings.${at} is ${JSON.stringify(word)}. Known: ${known.join(', ')}.`;
}

function* wholeMistakes(
  at: string,
  value: number | undefined,
  { least }: { readonly least: number },
): Generator<string> {
  if (value !== undefined && !(Number.isSafeInteger(value) && value >= least))
    yield `settings.${at} is ${value}; it is a whole number from ${least} on.`;
}

function* sizeMistakes(at: string, size: Size | undefined): Generator<string> {
  if (size === undefined) return;
  if (!(valueOf(size) > 0)) yield `settings.${at} is "${size}", which is no size above 0.`;
}
