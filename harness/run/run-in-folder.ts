import type { Binding } from '../binding/binding.ts';
import type { Disk } from '../binding/disk.ts';
import { OptionRefused } from '../binding/binding.ts';
import type { LabProvider } from '../binding/lab-provider.ts';
import type { Profile } from '../model/check.ts';
import {
  type Granularity,
  GRANULARITY_WORDS,
  granularityText,
  type PhaseGranularity,
  phaseGranularity,
  trainOf,
} from '../model/granularity.ts';
import type { Plan } from '../model/plan.ts';
import type { RunLine } from '../model/record.ts';
import { chooseGranularity, granularityOfPhases } from './choose-granularity.ts';
import { hostFacts } from './host-facts.ts';
import { play } from './play.ts';
import type { Played, PlayOptions } from './play.ts';
import { replayLine } from './replay-line.ts';
import { RunFolder } from './run-folder.ts';
import { inOrder } from './vary.ts';
import type { Settings } from './vary.ts';
import { VERSION } from './version.ts';

export interface RunInFolderOptions extends Pick<PlayOptions, 'narrate' | 'progress' | 'signal' | 'onJournal'> {
  readonly binding: Binding;
  /** For a lab that exists only for the run. */
  readonly provider?: LabProvider;
  /** As it is to be played: with `set` applied. */
  readonly plan: Plan;
  readonly set: Settings;
  readonly scenario: RunLine['scenario'];
  readonly world: string;
  readonly seed: number;
  readonly trainPackets: number | null;
  readonly worldOptions: Readonly<Record<string, string>>;
  readonly profile: Profile | null;
  /** Files as the user would name them, for the replay line; absent for the default ones. */
  readonly named: { readonly configFile?: string; readonly profileFile?: string };
  /** Where the scenarios are; the host's facts name its commit. */
  readonly root: string;
  readonly runsDir: string;
  readonly disk?: Disk;
  /** Wall clock. */
  readonly now: () => Date;
  /** Called when the folder is there, before anything is played. */
  readonly onFolder?: (folder: string) => void;
}

/**
 * One run with its folder: the same for `farspan run` and for each cell of a sweep, so that the same plan and seed give the same record.
 *
 * @throws EvidenceError when the evidence can not be written
 */
export async function runInFolder(options: RunInFolderOptions): Promise<Played & { readonly folder: string }> {
  const { binding, provider, plan, scenario, world, seed, profile, root, now } = options;
  const played = playedAs(options);
  const { trainPackets, granularity, worldOptions } = played;
  const begun = now();
  const folder = new RunFolder({
    root: options.runsDir,
    at: begun,
    title: scenario.title,
    world,
    seed,
    ...(options.disk && { disk: options.disk }),
  });
  options.onFolder?.(folder.path);
  const set = Object.fromEntries(inOrder(options.set));
  const varied = Object.keys(set).length > 0 && { set };
  const given = played.given;

  let stop = async (): Promise<void> => {};
  try {
    folder.host(hostFacts({ root, begun }));
    const lazily: Binding = {
      reserve: async (topology, reservation) => {
        if (!provider) return binding.reserve(topology, reservation);
        const lab = await provider.provide(topology, { seed, options: given });
        stop = () => lab.stop();
        return binding.reserve(topology, { ...reservation, options: { inventory: lab.inventory, state: lab.state } });
      },
    };
    const done = await play({
      binding: lazily,
      plan,
      header: {
        version: VERSION,
        scenario,
        world,
        seed,
        trainPackets,
        ...(granularity && { granularity }),
        options: worldOptions,
        ...varied,
        profile,
      },
      worldOptions: given,
      folder,
      replay: replayLine({
        world,
        seed,
        trainPackets,
        ...(granularity && { granularity }),
        title: scenario.title,
        options: worldOptions,
        ...varied,
        ...options.named,
      }),
      ...(options.narrate && { narrate: options.narrate }),
      ...(options.progress && { progress: options.progress }),
      ...(options.signal && { signal: options.signal }),
      ...(options.onJournal && { onJournal: options.onJournal }),
    });
    return { ...done, folder: folder.path };
  } finally {
    try {
      folder.close();
    } finally {
      await stop();
    }
    folder.host(hostFacts({ root, begun, ended: now() }));
  }
}

/**
 * How finely the plan is simulated: as it was asked, or as the plan's cost says. What of it is no fabric of the user's is not among the
 * recorded options.
 *
 * @throws OptionRefused when this world can not, or the plan has no such phase
 */
function playedAs({
  plan,
  provider,
  profile,
  trainPackets: length,
  worldOptions: { granularity: asked, ...worldOptions },
}: RunInFolderOptions) {
  if (length === null) return { trainPackets: null, granularity: undefined, worldOptions, given: worldOptions };
  const { defect } = worldOptions;
  const wanted = asked === undefined || asked === 'auto' ? undefined : phaseGranularity(asked);
  if (asked !== undefined && asked !== 'auto' && wanted === undefined)
    throw new OptionRefused(`Granularity is auto, ${GRANULARITY_WORDS}; got "${asked}".`);
  const fixed = wanted ?? (asked === 'auto' ? undefined : length === 1 ? 'packet' : (`train:${length}` as const));
  const granularity =
    fixed === undefined
      ? chooseGranularity(plan, { flowLevel: provider === undefined, profile, ...(defect !== undefined && { defect }) })
      : asAsked(plan, fixed);
  const finest = Object.values(granularity).filter(one => one !== 'flow');
  if (provider && new Set(Object.values(granularity)).size + (finest.length > 0 ? 0 : 1) !== 1)
    throw new OptionRefused(
      'An emulated lab is simulated alike in all phases, by packets or trains: its devices count packets.',
    );
  const trainPackets = (finest[0] && trainOf(finest[0])) ?? 1;
  const alike = finest.length === Object.keys(granularity).length && new Set(finest).size === 1;
  const given = {
    ...simulated(worldOptions, trainPackets),
    ...(!alike && { granularity: granularityText(granularity) }),
  };
  return { trainPackets, granularity, worldOptions, given };
}

function asAsked(plan: Plan, asked: PhaseGranularity): Readonly<Record<string, Granularity>> {
  try {
    return granularityOfPhases(plan, asked);
  } catch (error) {
    throw new OptionRefused((error as Error).message, { cause: error });
  }
}

/** The simulator's own option rides with the user's; worlds of real packets have none. */
export const simulated = (
  { granularity, ...options }: Readonly<Record<string, string>>,
  trainPackets: number | null,
): Readonly<Record<string, string>> =>
  trainPackets === null
    ? options
    : {
        ...options,
        trainPackets: String(trainPackets),
        ...(granularity !== undefined && granularity !== 'auto' && { granularity }),
      };
