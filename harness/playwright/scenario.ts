import { appendFileSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { test as base } from '@playwright/test';
import type { TestInfo } from '@playwright/test';
import type { Binding } from '../binding/binding.ts';
import type { LabProvider } from '../binding/lab-provider.ts';
import type { Testbed } from '../binding/testbed.ts';
import { callSite } from '../model/call-site.ts';
import type { CallSite } from '../model/call-site.ts';
import type { Profile } from '../model/check.ts';
import type { Plan } from '../model/plan.ts';
import type { Topology } from '../model/topology.ts';
import type { RunVerdict } from '../model/verdict.ts';
import { checkPlan, PlanError } from '../run/check-plan.ts';
import { asError } from '../run/conduct.ts';
import { NO_PROGRESS_MS } from '../run/deadline.ts';
import { describePlan } from '../run/describe-plan.ts';
import { ProfileError, readProfile } from '../run/profile.ts';
import { EvidenceError } from '../run/evidence-error.ts';
import { RUN_FILES } from '../run/run-folder.ts';
import { runInFolder, simulated } from '../run/run-in-folder.ts';
import { vary } from '../run/vary.ts';
import type { Settings } from '../run/vary.ts';
import { ANNOTATION, troubleOf } from './annotations.ts';
import { decides, errorAt, failureMessage, missed } from './failure-message.ts';
import { reservable } from './reservable.ts';

/** What a Playwright project says about its world. Paths are relative to the configuration file. */
export interface ScenarioOptions {
  /** Module whose default export is a `Binding`. */
  binding: string;
  /** Module whose default export is a `LabProvider`, for a lab that exists only for the run; empty for none. */
  provider: string;
  /** The world's name, as `farspan run --world` takes it. */
  world: string;
  seed: number;
  /** Options of the world, such as `defect` or `inventory`. */
  worldOptions: Readonly<Record<string, string>>;
  /** YAML file of limits; empty for none. */
  profileFile: string;
  /** Where run folders are made. */
  runsDir: string;
  /** Packets simulated as one unit; null where packets are real. */
  trainPackets: number | null;
}

/** Cleaning up ends by itself, because every wait in it is bounded; this only bounds a defect of ours. */
const CLEAN_UP_MS = 15 * 60_000;

interface Stage {
  readonly signal: AbortSignal;
  /** Says that something happened. */
  readonly progress: () => void;
  /** The test may be ended by Playwright; what is held is still waited for. */
  readonly hold: <T>(work: Promise<T>) => Promise<T>;
}

export interface ScenarioFixtures {
  /** A testbed for a scenario whose logic does not fit a plan. Healed, stopped and given back when the scenario ends. */
  reserve: (topology: Topology) => Promise<Testbed>;
  /** Internal: outlives the test body, so that an interrupted run is healed. */
  stage: Stage;
}

/** Playwright's own `test`, with our fixtures: `.only`, `.skip`, `.describe`, tags and `-g` all work. */
export const scenario = base.extend<ScenarioFixtures & ScenarioOptions>({
  binding: ['', { option: true }],
  provider: ['', { option: true }],
  world: ['sim', { option: true }],
  seed: [1, { option: true }],
  worldOptions: [{}, { option: true }],
  profileFile: ['', { option: true }],
  runsDir: ['runs', { option: true }],
  trainPackets: [null, { option: true }],

  stage: [
    // oxlint-disable-next-line no-empty-pattern -- Playwright reads the fixtures from the pattern
    async ({}, use, info) => {
      refuseRetries(info);
      const abort = new AbortController();
      const held = new Set<Promise<unknown>>();
      const begun = performance.now();
      const progress = (): void => {
        if (!abort.signal.aborted) info.setTimeout(performance.now() - begun + NO_PROGRESS_MS);
      };
      await use({
        signal: abort.signal,
        progress,
        hold: async work => {
          held.add(work);
          try {
            return await work;
          } finally {
            held.delete(work);
          }
        },
      });
      if (held.size === 0) return;
      abort.abort(
        new Error(
          info.status === 'timedOut' ? `no progress for ${NO_PROGRESS_MS / 1000} s` : 'the run was interrupted',
        ),
      );
      await Promise.allSettled(held);
    },
    { timeout: CLEAN_UP_MS },
  ],

  reserve: [
    async ({ stage, binding, provider, seed, worldOptions, trainPackets }, use, info) => {
      const world = await load<Binding>(binding, info);
      const reserving = reservable({
        record: info.outputPath('record.ndjson'),
        steps: info.outputPath('steps.ndjson'),
      });
      await use(async topology => {
        const given = simulated(worldOptions, trainPackets);
        const lab = await noted(provideLab({ provider, topology, seed, options: given }, info), info);
        if (lab) reserving.atEnd(lab.stop);
        return noted(
          reserving.reserve(world, topology, {
            seed,
            options: lab?.options ?? given,
            signal: stage.signal,
            reason: titleOf(info),
            onJournal: tellJournal,
          }),
          info,
        );
      });
      const { cleanliness, errors, files } = await reserving.end();
      const { dirty } = cleanliness;
      for (const file of files)
        info.attachments.push({ name: path.basename(file), path: file, contentType: 'application/x-ndjson' });
      info.annotations.push({ type: ANNOTATION.cleanliness, description: JSON.stringify(cleanliness) });
      if (dirty.length > 0) throw new Error(`TESTBED LEFT DIRTY\n${dirty.map(line => `  ! ${line}`).join('\n')}`);
      const [first] = errors;
      if (first && troubleOf(first) === 'evidence')
        info.annotations.push({ type: ANNOTATION.trouble, description: 'evidence' });
      if (first) throw first;
    },
    { timeout: CLEAN_UP_MS },
  ],
});

/**
 * Turns a plan into a scenario's body. Phase names are checked by the compiler; what it can not see is refused here, while the file
 * is loaded.
 *
 * @throws PlanError when the plan can not be played as written
 */
export function plan<const P extends string>(declared: Plan<P>) {
  const where = callSite();
  try {
    checkPlan(declared);
  } catch (error) {
    // The arrow belongs on the scenario's line, not in here.
    if (error instanceof PlanError)
      error.stack = `PlanError: ${error.message}\n    at ${where.file}:${where.line}:${where.column}`;
    throw error;
  }
  return async (
    {
      stage,
      binding,
      provider,
      world,
      seed,
      worldOptions,
      profileFile,
      runsDir,
      trainPackets,
    }: ScenarioFixtures & ScenarioOptions,
    info: TestInfo,
  ): Promise<void> => {
    const root = rootOf(info);
    const described = { title: titleOf(info), file: relative(root, info.file), line: info.line, tags: info.tags };
    const dry = process.env['FARSPAN_DRY'];
    if (dry === 'plan' || dry === 'sweep') {
      const sweepable = dry === 'sweep' && {
        sweepable: {
          plan: relocated(declared, root),
          root,
          binding: path.resolve(root, binding),
          provider: provider === '' ? '' : path.resolve(root, provider),
          world,
          worldOptions,
          profileFile: profileFile === '' ? '' : path.resolve(root, profileFile),
          trainPackets,
        },
      };
      const description = JSON.stringify({ ...describePlan(await asSet(declared, info), described), ...sweepable });
      info.annotations.push({ type: ANNOTATION.plan, description });
      info.skip(true, 'only the plan was asked for');
    }
    const options = { stage, binding, provider, world, seed, worldOptions, profileFile, runsDir, trainPackets };
    const varied = relocated(await asSet(declared, info), root);
    const played = await noted(stage.hold(staged(options, { declared: varied, root, described, info })), info);
    await show(played, { root, world, info });
  };
}

interface Scene {
  readonly declared: Plan;
  readonly root: string;
  readonly described: {
    readonly title: string;
    readonly file: string;
    readonly line: number;
    readonly tags: readonly string[];
  };
  readonly info: TestInfo;
}

interface Shown {
  readonly verdict: RunVerdict;
  readonly errors: readonly Error[];
  readonly folder: string;
}

/** The run itself, with its folder; not interrupted by the end of the test, only by the stage's signal. */
async function staged(
  options: ScenarioOptions & Pick<ScenarioFixtures, 'stage'>,
  { declared, root, described, info }: Scene,
): Promise<Shown> {
  const { stage, world, seed, worldOptions, trainPackets, provider } = options;
  const profile = options.profileFile === '' ? null : profileAt(path.resolve(root, options.profileFile));
  const binding = await load<Binding>(options.binding, info);
  return runInFolder({
    binding,
    ...(provider !== '' && {
      provider: {
        provide: async (topology, given) => (await load<LabProvider>(provider, info)).provide(topology, given),
      },
    }),
    plan: declared,
    set: settings(),
    scenario: described,
    world,
    seed,
    trainPackets,
    worldOptions,
    profile,
    named: {
      ...(process.env['FARSPAN_CONFIG'] && { configFile: shortest(process.env['FARSPAN_CONFIG']) }),
      ...(process.env['FARSPAN_PROFILE'] && { profileFile: shortest(path.resolve(root, options.profileFile)) }),
    },
    root,
    runsDir: path.resolve(root, options.runsDir),
    now: () => new Date(),
    onJournal: tellJournal,
    onFolder: folder => info.annotations.push({ type: ANNOTATION.run, description: folder }),
    narrate: (title, body) => (stage.signal.aborted ? body() : scenario.step(title, body)),
    progress: () => stage.progress(),
    signal: stage.signal,
  });
}

/** `farspan run` reads there what is still applied when it is interrupted. */
function tellJournal(file: string): void {
  const list = process.env['FARSPAN_JOURNALS'];
  if (list !== undefined) appendFileSync(list, `${file}\n`);
}

/** The plan as `--set` makes it. */
async function asSet(declared: Plan, info: TestInfo): Promise<Plan> {
  const set = settings();
  if (Object.keys(set).length === 0) return declared;
  return noted(
    (async () => {
      try {
        const varied = vary(declared, set);
        checkPlan(varied);
        return varied;
      } catch (error) {
        // The mistake is in what was typed: a frame of ours explains nothing.
        const { message } = asError(error);
        const { file, line, column } = info;
        (error as Error).stack = `${(error as Error).name}: ${message}\n    at ${file}:${line}:${column}`;
        throw error;
      }
    })(),
    info,
  );
}

/** What `farspan run --set` changes in every plan. */
const settings = (): Settings => JSON.parse(process.env['FARSPAN_SET'] ?? '{}') as Settings;

/** Call sites relative to the root, so that records of two machines compare. */
const relocated = (declared: Plan, root: string): Plan => ({
  ...declared,
  expect: declared.expect.map(check => ({
    ...check,
    where: { ...check.where, file: relative(root, check.where.file) },
  })),
});

/** Steps for people, files for the report, and at most one throw, at the line of the first expectation that was missed. */
async function show(
  { verdict, errors, folder }: Shown,
  { root, world, info }: { root: string; world: string; info: TestInfo },
): Promise<void> {
  for (const [name, file] of Object.entries(RUN_FILES)) {
    const contentType = file.endsWith('.json') ? 'application/json' : 'application/x-ndjson';
    info.attachments.push({ name, path: path.join(folder, file), contentType });
  }
  const [trouble] = errors;
  if (trouble) info.annotations.push({ type: ANNOTATION.trouble, description: troubleOf(trouble) });
  const located = (where: CallSite): CallSite => ({ ...where, file: path.resolve(root, where.file) });

  for (const gate of verdict.gates) {
    const met = gate.outcome === 'pass' || gate.outcome === 'not run';
    await step(`gate: ${gate.title}`, met ? undefined : new Error(`${gate.outcome}: ${gate.reason}`));
  }
  for (const check of verdict.checks) {
    const met = check.outcome === 'pass' || check.outcome === 'not run' || !decides(check);
    const where = located(check.where);
    await step(check.title, met ? undefined : errorAt(where, `${check.outcome}: ${check.reason}`), where);
  }

  const clean = verdict.cleanliness.dirty.length === 0;
  if (verdict.outcome === 'pass' && clean) return;
  if (verdict.outcome === 'not run' && clean) info.skip(true, verdict.reason);
  // A broken run has no expectation to point at.
  const first = verdict.outcome === 'error' ? undefined : missed(verdict)[0];
  const where = first ? located(first.where) : { file: info.file, line: info.line, column: info.column };
  throw errorAt(where, failureMessage(verdict, { world, errors, evidence: shortest(folder) }));
}

async function step(title: string, error: Error | undefined, location?: CallSite): Promise<void> {
  const body = (): void => {
    if (error) throw error;
  };
  await scenario.step(title, body, location ? { location } : {}).catch(() => undefined);
}

/** A retry that passes would hide a fail. */
function refuseRetries({ project, retry, annotations, file, line, column }: TestInfo): void {
  if (project.retries === 0 && retry === 0) return;
  annotations.push({ type: ANNOTATION.trouble, description: 'usage' });
  const message =
    'Farspan refuses retries: a retry that passes would hide a fail. Remove "retries"; to see how often it fails, play it with other seeds.';
  throw errorAt({ file, line, column }, message);
}

async function load<T>(module: string, info: TestInfo): Promise<T> {
  if (module === '')
    throw new Error(
      `Project "${info.project.name}" names no binding. Set use: { binding: './path/to/binding.ts' } in its configuration.`,
    );
  const loaded = (await import(pathToFileURL(path.resolve(rootOf(info), module)).href)) as { default: T };
  return loaded.default;
}

/** Marks what is no answer about the product, for the reporter, which sees only the text of errors. */
async function noted<T>(work: Promise<T>, info: TestInfo): Promise<T> {
  try {
    return await work;
  } catch (thrown) {
    info.annotations.push({ type: ANNOTATION.trouble, description: troubleOf(asError(thrown)) });
    throw thrown;
  }
}

function profileAt(file: string): Profile {
  const shown = shortest(file);
  try {
    return readProfile(readFileSync(file, 'utf8'), shown);
  } catch (error) {
    if (error instanceof ProfileError) throw error;
    throw new EvidenceError(`${shown}: the profile could not be read: ${asError(error).message}`, { cause: error });
  }
}

interface LabRequest {
  readonly provider: string;
  readonly topology: Topology;
  readonly seed: number;
  readonly options: Readonly<Record<string, string>>;
}

async function provideLab({ provider, topology, seed, options }: LabRequest, info: TestInfo) {
  if (provider === '') return undefined;
  const lab = await (await load<LabProvider>(provider, info)).provide(topology, { seed, options });
  return { options: { inventory: lab.inventory, state: lab.state }, stop: () => lab.stop() };
}

/** As `-g` sees it: every describe block, then the title. */
const titleOf = (info: TestInfo): string => info.titlePath.slice(1).join(' ');

const rootOf = ({ config }: TestInfo): string =>
  config.configFile === undefined ? config.rootDir : path.dirname(config.configFile);

/** With forward slashes, so that records of two systems compare. */
const relative = (root: string, file: string): string => (path.relative(root, file) || '.').replaceAll(path.sep, '/');

/** As a user would type it. */
function shortest(file: string): string {
  const near = relative(process.cwd(), file);
  return near.startsWith('..') ? file : near;
}
