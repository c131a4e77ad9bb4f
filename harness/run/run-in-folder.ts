import type { Binding } from '../binding/binding.ts';
import type { LabProvider } from '../binding/lab-provider.ts';
import type { Profile } from '../model/check.ts';
import type { Plan } from '../model/plan.ts';
import type { RunLine } from '../model/record.ts';
import { hostFacts } from './host-facts.ts';
import { play } from './play.ts';
import type { Played, PlayOptions } from './play.ts';
import { replayLine } from './replay-line.ts';
import { RunFolder } from './run-folder.ts';
import { inOrder } from './vary.ts';
import type { Settings } from './vary.ts';
import { VERSION } from './version.ts';

export interface RunInFolderOptions extends Pick<PlayOptions, 'narrate' | 'progress' | 'signal'> {
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
  const { binding, provider, plan, scenario, world, seed, trainPackets, worldOptions, profile, root, now } = options;
  const begun = now();
  const folder = new RunFolder({ root: options.runsDir, at: begun, title: scenario.title, world, seed });
  options.onFolder?.(folder.path);
  folder.host(hostFacts({ root, begun }));
  const set = Object.fromEntries(inOrder(options.set));
  const varied = Object.keys(set).length > 0 && { set };
  const given = simulated(worldOptions, trainPackets);

  let stop = async (): Promise<void> => {};
  try {
    const lazily: Binding = {
      reserve: async (topology, reservation) => {
        if (!provider) return binding.reserve(topology, reservation);
        const lab = await provider.provide(topology, { seed, options: given });
        stop = () => lab.stop();
        return binding.reserve(topology, { ...reservation, options: { inventory: lab.inventory } });
      },
    };
    const played = await play({
      binding: lazily,
      plan,
      header: { version: VERSION, scenario, world, seed, trainPackets, options: worldOptions, ...varied, profile },
      worldOptions: given,
      folder,
      replay: replayLine({
        world,
        seed,
        trainPackets,
        title: scenario.title,
        options: worldOptions,
        ...varied,
        ...options.named,
      }),
      ...(options.narrate && { narrate: options.narrate }),
      ...(options.progress && { progress: options.progress }),
      ...(options.signal && { signal: options.signal }),
    });
    return { ...played, folder: folder.path };
  } finally {
    folder.close();
    await stop();
    folder.host(hostFacts({ root, begun, ended: now() }));
  }
}

/** The simulator's own option rides with the user's; worlds of real packets have none. */
export const simulated = (
  options: Readonly<Record<string, string>>,
  trainPackets: number | null,
): Readonly<Record<string, string>> =>
  trainPackets === null ? options : { ...options, trainPackets: String(trainPackets) };
