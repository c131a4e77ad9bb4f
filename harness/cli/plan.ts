import type { PlanDescription } from '../run/describe-plan.ts';
import { granularityOf, granularityText, granularityWords } from '../model/granularity.ts';
import { print } from '../model/units.ts';
import { EXIT } from './exit-code.ts';
import { playwrightRun } from './playwright-run.ts';
import { printable } from './say.ts';
import { UsageError } from './usage-error.ts';
import { commandsOf } from './wire-commands.ts';
import { settingsOf } from './world-settings.ts';
import type { WorldSettings } from './world-settings.ts';

export interface PlanCommand extends WorldSettings {
  readonly files: readonly string[];
  readonly grep?: string;
}

/** What the scenarios would do; nothing is reserved and nothing is sent. Of one world, described once. @throws UsageError */
export async function describedPlans({
  files,
  grep,
  config,
  worlds,
  ...rest
}: PlanCommand): Promise<readonly PlanDescription[]> {
  const env = { ...settingsOf({ ...rest, worlds }).env, FARSPAN_DRY: 'plan' };
  const { results, errors, said } = await playwrightRun({
    files,
    worlds,
    env,
    quiet: true,
    grep,
    config,
  });
  if (errors.some(error => !error.includes('No tests found')))
    throw new UsageError(`the scenarios could not be loaded.\n${errors.join('\n')}\n${said}`.trim());
  return results.flatMap(result => {
    if (result.plan !== undefined) return [result.plan];
    const reason = result.errors[0] ?? 'it has no plan: an ordinary body can not be foreseen';
    process.stderr.write(`farspan: ${printable(`${result.file}:${result.line} "${result.title}": ${reason}`)}\n`);
    return [];
  });
}

/** Characters of the commands of one plan that are printed. */
const MOST_COMMANDS = 8 * 2 ** 20;

/** Prints phases, faults, deadlines, cost and, where devices are driven, the exact commands with their undo. */
export async function plan(command: PlanCommand): Promise<number> {
  const plans = await describedPlans(command);
  if (plans.length === 0) {
    process.stderr.write(
      `farspan: no scenario matches ${printable([...command.files, command.grep ?? ''].join(' ').trim()) || 'this world'}.\n`,
    );
    return EXIT.undecided;
  }
  for (const one of plans) {
    process.stdout.write(`${printable(summaryOf(one, command).join('\n'))}\n`);
    if (!command.worlds.includes('sim'))
      process.stdout.write(`${printable((await commandsOf(one, command)).join('\n'), MOST_COMMANDS)}\n`);
    process.stdout.write('\n');
  }
  process.stdout.write(`${plans.length} ${plans.length === 1 ? 'scenario' : 'scenarios'}. Nothing was sent.\n`);
  return EXIT.pass;
}

/** In `sim`, as this command line would play it. */
function playedAs(
  one: PlanDescription,
  { train, granularity }: { readonly train?: number | undefined; readonly granularity?: string | undefined },
): string {
  if (train !== undefined) return granularityWords(granularityOf(`train:${train}`) ?? 'packet');
  if (granularity !== undefined && granularity !== 'auto') return granularity;
  const text = granularityText(one.granularity);
  const alike = granularityOf(text);
  return alike === undefined ? text : granularityWords(alike);
}

function summaryOf(
  one: PlanDescription,
  { train, granularity }: Pick<PlanCommand, 'train' | 'granularity'>,
): readonly string[] {
  const { topology } = one;
  const spans = Object.values(topology.spans).map(({ name, length, rate }) => `${name} ${length} at ${rate}`);
  return [
    `${one.title}  ${one.tags.join(' ')}`.trimEnd(),
    `  ${one.file}:${one.line}`,
    `  why       ${one.why}`,
    `  topology  ${topology.name}: ${topology.hosts.length} hosts, ${topology.switches.length} switches${spans.length > 0 ? `, spans ${spans.join(', ')}` : ''}`,
    `  load      ${one.load}`,
    ...one.phases.map(
      ({ name, for: length, deadlineNs, faults }, i) =>
        `  ${i === 0 ? 'phases ' : '       '}   ${name.padEnd(14)} ${length.padEnd(10)}${deadlineNs === null ? '' : ` deadline ${print(deadlineNs, 'duration')}`}${faults.length > 0 ? `  ${faults.map(({ fault, on }) => `${fault.kind} on ${on}`).join(', ')}` : ''}`,
    ),
    `  expects   ${one.expectations} ${one.expectations === 1 ? 'limit' : 'limits'}`,
    `  cost      ${Number(one.cost.toPrecision(3)).toLocaleString('en')} packet-hops; ${playedAs(one, { train, granularity })}`,
  ];
}
