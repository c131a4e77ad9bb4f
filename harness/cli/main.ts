import { readFileSync } from 'node:fs';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import type { DecisionRule } from '../model/plan.ts';
import { troubleOf } from '../playwright/annotations.ts';
import { EXIT } from './exit-code.ts';
import { judgeAgain, reportAgain } from './judge.ts';
import { emulate } from './emulate.ts';
import { lab } from './lab.ts';
import { lease } from './lease.ts';
import { lint, type LintCommand } from './lint.ts';
import { plan } from './plan.ts';
import { plot } from './plot.ts';
import type { PlotCommand } from './plot.ts';
import { recover } from './recover.ts';
import { run } from './run.ts';
import { printable } from './say.ts';
import { sweep } from './sweep.ts';
import { tour } from './tour.ts';
import { trace, type TraceCommand } from './trace.ts';
import type { SweepParameter } from '../model/sweep.ts';
import type { WorldSettings } from './world-settings.ts';
import type { Settings } from '../run/vary.ts';
import type { Duration } from '../model/units.ts';

const WORLDS = ['sim', 'emulated', 'lab'];
const MOST_SEED = 2 ** 32 - 1;
const MOST_SEEDS = 100_000;

interface Typed {
  readonly world: string;
  readonly seed: number;
  readonly train: number;
  readonly option: Readonly<Record<string, string>>;
  readonly runs: string;
  readonly grep?: string;
  readonly set?: Settings;
  readonly defect?: string;
  readonly inventory?: string;
  readonly profile?: string;
  readonly workers?: number;
  readonly config?: string;
  readonly junit?: string;
  readonly tap?: string;
  readonly json?: string;
}

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

let code: number = EXIT.pass;
const program = new Command('farspan')
  .description(
    'Plays scenarios of loads and faults on GPU fabrics that span data centers, and says whether they meet a spec.',
  )
  .version(version)
  .showSuggestionAfterError(true)
  .exitOverride()
  .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'farspan: ')) });

scenarioOptions(
  program
    .command('run')
    .description('play scenarios and judge them')
    .argument('[files...]', 'scenario files, or file:line'),
)
  .option('--workers <n>', 'scenarios at once (default 2; lab 1)', whole({ least: 1, most: 64 }))
  .option('--junit <file>', 'all runs in one JUnit file')
  .option('--tap <file>', 'all runs in one TAP file')
  .option('--json <file>', 'all runs in one JSON file')
  .action(async (files: string[], typed: Typed) => {
    code = await run({ ...typed, files, worlds: [typed.world] });
  });

scenarioOptions(
  program
    .command('plan')
    .description('what would be done and sent; nothing is')
    .argument('[files...]', 'scenario files, or file:line'),
).action(async (files: string[], typed: Typed) => {
  code = await plan({ ...typed, files, worlds: [typed.world] });
});

scenarioOptions(
  program
    .command('sweep')
    .description('play a matrix of scenario x parameter x seed on all cores')
    .argument('[files...]', 'scenario files, or file:line'),
  { world: ['sim', 'emulated'], one: false },
)
  .option('--vary <path=values>', 'values of the plan, comma between; may be repeated', variation, [])
  .option('--seeds <list>', 'such as 1..5 or 1,4,9', seedList, [7])
  .option('--workers <n>', 'threads (default: as many as the machine has cores)', whole({ least: 1, most: 256 }))
  .option('--out <dir>', 'the folder of the sweep (default: a new one in --runs)')
  .option('--resume', 'go on with the sweep in --out; finished cells are kept')
  .action(
    async (
      files: string[],
      typed: Omit<Typed, 'seed'> & {
        readonly vary: readonly SweepParameter[];
        readonly seeds: readonly number[];
        readonly out?: string;
        readonly resume?: true;
      },
    ) => {
      const { vary: parameters, seeds, world, resume, ...rest } = typed;
      const seed = seeds[0] ?? 7;
      code = await sweep({ ...rest, files, worlds: [world], seed, seeds, parameters, resume: resume === true });
    },
  );

program
  .command('plot')
  .description('a KPI of a sweep against a parameter, as one page')
  .argument('<sweep>', 'its folder')
  .requiredOption('--kpi <name>', 'such as busbw')
  .requiredOption('--against <path>', 'the parameter on the x axis')
  .option('--by <path>', 'a line for each value of it; may be repeated (default: every other parameter)', each, [])
  .option('--where <path=value>', 'only these cells; may be repeated', setting, {})
  .option('--phase <name>', 'only this phase')
  .option('--out <file>', 'where it is written (default: in the folder)')
  .option('--csv', 'as a table of all cells instead')
  .action((folder: string, typed: Omit<PlotCommand, 'folder' | 'csv'> & { readonly csv?: true }) => {
    code = plot({ ...typed, folder, csv: typed.csv === true });
  });

program
  .command('judge')
  .description('judge a stored run again, without any testbed')
  .argument('<run>', 'its folder')
  .option('--profile <file>', 'with these limits')
  .addOption(new Option('--decision <rule>', 'with this decision rule').choices(['simple', 'guarded']))
  .action((folder: string, typed: { readonly profile?: string; readonly decision?: DecisionRule }) => {
    code = judgeAgain({ folder, ...typed });
  });

program
  .command('report')
  .description('write the reports of a stored run again')
  .argument('<run>', 'its folder')
  .action((folder: string) => {
    code = reportAgain({ folder });
  });

program
  .command('tour')
  .description('a tour of scenarios, in the simulator and on the emulated lab')
  .action(async () => {
    code = await tour();
  });

program
  .command('emulate')
  .description("a scenario's lab, emulated in the foreground: ssh and snmpwalk into it")
  .argument('[files...]', 'scenario files, or file:line')
  .option('-g, --grep <pattern>', 'the scenario whose topology is emulated')
  .addOption(seedOption())
  .option('--defect <name>', 'a defect planted in the fabric')
  .option('--train <n>', 'packets simulated as one', whole({ least: 1, most: 64 }), 8)
  .option('--pace <factor>', 'virtual seconds per second; 1 is real time', positive)
  .action(async (files: string[], typed) => {
    code = await emulate({
      ...(typed as Pick<Typed, 'grep' | 'seed' | 'defect' | 'train'> & { pace?: number }),
      files,
    });
  });

program
  .command('trace')
  .description("replay another simulator's workload: htsim matrices, and the files of the HPCC-style ns-3 family")
  .option('--hpcc <config>', 'configuration of the HPCC family; it names its topology and flow files')
  .addOption(
    new Option(
      '--branch <name>',
      "whose headers its packets have: HPCC's artefact (48 B, the default) or ASTRA-sim's fork (36 B)",
    ).choices(['artefact', 'astra']),
  )
  .option('--htsim <matrix>', 'htsim connection matrix (.cm), with --topo')
  .option('--topo <file>', 'htsim topology (.topo)')
  .option('--fct <file>', "write completion times, in the HPCC family's columns")
  .option('--compare <file>', 'such a file of the peer: its completion times beside ours')
  .option('--within <percent>', 'exit with 1 when the means differ by more, such as 3%')
  .option('--pcap <node:port=file>', 'packets of a port; may be repeated', collect, [])
  .option('--delay <node:node=time>', 'another one-way delay of a link; may be repeated', collect, [])
  .option('--stop <time>', 'end so long after the first flow, such as 30ms (default: as the files say)')
  .addOption(seedOption())
  .option(
    '--seeds <n>',
    'run so many seeds from --seed on; completion times are means',
    whole({ least: 1, most: 1000 }),
    1,
  )
  .option('--train <n>', 'packets simulated as one; 1 is exact', whole({ least: 1, most: 64 }), 1)
  .option('--mtu <bytes>', 'payload of a packet, for --htsim (default 4096)', whole({ least: 64, most: 65535 }))
  .option('--pfc <low,high>', 'pause thresholds in packets, for --htsim (default 12,15)')
  .action(async (typed: TraceCommand) => {
    code = await trace(typed);
  });

program
  .command('devices')
  .description('what an inventory holds')
  .requiredOption('--inventory <file>', 'the lab')
  .action(async ({ inventory }: { readonly inventory: string }) => {
    code = await lab.devices({ inventory });
  });

program
  .command('trust')
  .description("show a device's host key and pin it on confirmation")
  .argument('<device>', 'its name in the inventory')
  .requiredOption('--inventory <file>', 'the lab')
  .option('--yes', 'pin it without asking')
  .option('--replace', 'another key is pinned, and the new one is right')
  .action(
    async (device: string, typed: { readonly inventory: string; readonly yes?: true; readonly replace?: true }) => {
      code = await lab.trust({
        device,
        inventory: typed.inventory,
        yes: typed.yes ?? false,
        replace: typed.replace ?? false,
      });
    },
  );

program
  .command('doctor')
  .description('is this lab reachable, and is it the lab it says')
  .requiredOption('--inventory <file>', 'the lab')
  .option('--discover', 'draft an inventory from what LLDP shows')
  .option('--json <file>', 'the whole report as data')
  .option('--release <device>', 'it may be used again, by your word; with --because')
  .option('--because <text>', 'why, with --release')
  .action(
    async (typed: {
      readonly inventory: string;
      readonly discover?: true;
      readonly json?: string;
      readonly release?: string;
      readonly because?: string;
    }) => {
      const { inventory, json, release: device, because = '' } = typed;
      if (device !== undefined) code = await lab.releaseDevice({ inventory, device, because });
      else if (typed.discover) code = await lab.discover({ inventory });
      else code = await lab.doctor({ inventory, ...(json !== undefined && { json }) });
    },
  );

program
  .command('lint')
  .description('what the kilometres imply, against what is declared and what devices are configured as')
  .argument('[files...]', 'scenario files, or file:line')
  .option('-g, --grep <pattern>', 'only scenarios whose title or tag matches')
  .option('--set <path=value>', 'a value of the plan other than declared; may be repeated', setting)
  .option('--inventory <file>', 'read the devices of this lab too; without scenarios, look at the lab by itself')
  .option('--loss <share>', 'packet loss that spans are expected to have, such as 1e-6', fraction)
  .option('--config <file>', "a Playwright configuration with your own scenarios, instead of Farspan's")
  .option('--json <file>', 'all findings as data')
  .option('--all', 'formula and source of what is right too')
  .action(async (files: string[], typed: Omit<LintCommand, 'files' | 'all'> & { readonly all?: true }) => {
    code = await lint({ ...typed, files, all: typed.all ?? false });
  });

program
  .command('recover')
  .description('heal what a run that is gone left in a lab; safe to run always')
  .requiredOption('--inventory <file>', 'the lab')
  .option('--take-over', 'devices under a lease of another machine too, once it has been watched to be dead')
  .action(async (typed: { readonly inventory: string; readonly takeOver?: true }) => {
    code = await recover({ inventory: typed.inventory, takeOver: typed.takeOver ?? false });
  });

const leases = program.command('lease').description('who holds which lab');
leases
  .command('list')
  .description('every lease of this machine')
  .action(async () => {
    code = await lease.list();
  });
leases
  .command('take')
  .description('hold a lab for work by hand')
  .requiredOption('--inventory <file>', 'the lab')
  .requiredOption('--reason <text>', 'for people who find it taken')
  .option('--for <duration>', 'such as "2 h"', '1 h')
  .action(async (typed: { readonly inventory: string; readonly reason: string; readonly for: Duration }) => {
    code = await lease.take(typed);
  });
leases
  .command('release')
  .description('give a lab back that was taken by hand')
  .argument('<lease>', 'its id, or how it begins')
  .action(async (id: string) => {
    code = await lease.release(id);
  });
leases
  .command('break')
  .description("end somebody's lease; what they do from then on has no effect")
  .argument('<lease>', 'its id, or how it begins')
  .option('--yes', 'they are gone, or know it')
  .action(async (id: string, typed: { readonly yes?: true }) => {
    code = await lease.break(id, { yes: typed.yes ?? false });
  });

try {
  await program.parseAsync();
} catch (error) {
  code = codeOf(error);
}
process.exitCode = code;

/** Prints what the user needs of an error, and says which code it means. */
function codeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.pass : EXIT.usage;
  const thrown = error instanceof Error ? error : new Error(String(error));
  process.stderr.write(`farspan: ${printable(thrown.message)}\n`);
  if (process.env['FARSPAN_DEBUG']) process.stderr.write(`${printable(thrown.stack ?? '')}\n`);
  return { usage: EXIT.usage, lease: EXIT.lease, evidence: EXIT.evidence, lab: EXIT.error, dirty: EXIT.dirty }[
    troubleOf(thrown)
  ];
}

/** @param one one plan as it is said here, on one seed; otherwise the command has its own way to say many */
function scenarioOptions(command: Command, { world = WORLDS, one = true } = {}): Command {
  command
    .option('-g, --grep <pattern>', 'only scenarios whose title or tag matches')
    .addOption(new Option('--world <world>', 'where to play').choices(world).default('sim'));
  if (one) {
    command
      .addOption(seedOption())
      .option('--set <path=value>', 'a value of the plan other than declared; may be repeated', setting)
      .option('--inventory <file>', 'the lab, for --world lab');
  }
  return command
    .option('--defect <name>', 'a defect planted in the simulated fabric, to see the limits catch it')
    .option('--option <name=value>', 'another option of the world; may be repeated', pair, {})
    .option('--profile <file>', 'limits (YAML) instead of scenarios/profiles/default.yaml')
    .option('--config <file>', "a Playwright configuration with your own scenarios and worlds, instead of Farspan's")
    .option('--runs <dir>', 'where run folders are made', 'runs')
    .option(
      '--granularity <how>',
      'how finely it is simulated: packet, train:N, flow, or PHASE=… for each; default by cost',
    )
    .option('--train <n>', 'packets simulated as one, in all phases; 1 is exact', whole({ least: 1, most: 64 }));
}

function seedOption(): Option {
  return new Option('--seed <n>', 'the one number from which every random choice comes')
    .argParser(whole({ least: 0, most: MOST_SEED }))
    .default(7);
}

function whole({ least, most }: { readonly least: number; readonly most: number }) {
  return (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > most)
      throw new InvalidArgumentError(`Give a whole number from ${least} to ${most}.`);
    return value;
  };
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError('Give a positive number.');
  return value;
}

function fraction(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0 && value < 1))
    throw new InvalidArgumentError('Give a fraction from 0 to below 1.');
  return value;
}

function each(text: string, before: readonly string[]): readonly string[] {
  return [...before, text];
}

function setting(text: string, before: Settings = {}): Settings {
  const at = text.indexOf('=');
  const [path, value] = [text.slice(0, at).trim(), text.slice(at + 1).trim()];
  if (at < 0 || path === '' || value === '')
    throw new InvalidArgumentError("Write 'PATH=VALUE', such as 'topology.spans.*.length=10 km'.");
  if (Object.hasOwn(before, path)) throw new InvalidArgumentError(`${path} is set twice.`);
  return { ...before, [path]: value };
}

/** Values have no commas, so a comma is between two. */
function variation(text: string, before: readonly SweepParameter[]): readonly SweepParameter[] {
  const at = text.indexOf('=');
  const path = text.slice(0, at).trim();
  const values = text
    .slice(at + 1)
    .split(',')
    .map(value => value.trim());
  if (at < 0 || path === '' || values.some(value => value === ''))
    throw new InvalidArgumentError("Write 'PATH=VALUE,VALUE', such as 'topology.spans.*.length=10 km,100 km'.");
  if (before.some(one => one.path === path)) throw new InvalidArgumentError(`${path} is varied twice.`);
  return [...before, { path, values }];
}

function seedList(text: string): readonly number[] {
  const seeds = text.split(',').flatMap(part => {
    const [, from, to] = /^(\d{1,10})(?:\.\.(\d{1,10}))?$/.exec(part.trim()) ?? [];
    const [first, last] = [Number(from), Number(to ?? from)];
    if (from === undefined || last > MOST_SEED || last < first || last - first >= MOST_SEEDS)
      throw new InvalidArgumentError(`Give whole numbers from 0 to ${MOST_SEED}, such as 1..5 or 1,4,9.`);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
  if (new Set(seeds).size < seeds.length) throw new InvalidArgumentError('A seed stands in it twice.');
  return seeds;
}

function collect(text: string, before: readonly string[]): readonly string[] {
  return [...before, text];
}

function pair(text: string, before: WorldSettings['option']): WorldSettings['option'] {
  const [, name, value] = /^([\w-]+)=(.*)$/.exec(text) ?? [];
  if (name === undefined || value === undefined) throw new InvalidArgumentError('Write NAME=VALUE.');
  return { ...before, [name]: value };
}
