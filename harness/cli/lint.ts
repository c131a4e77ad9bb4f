import { writeFileSync } from 'node:fs';
import { TestbedUnavailable } from '../binding/binding.ts';
import type { Inventory } from '../lab/inventory.ts';
import { readConfigurations, type ReadConfigurations } from '../lab/read-configurations.ts';
import { solve } from '../lab/solver.ts';
import type { Finding, Severity } from '../lint/finding.ts';
import { lintDevices } from '../lint/lint-devices.ts';
import { lintFabric } from '../lint/lint-fabric.ts';
import { fabricOf, type LintedFabric } from '../lint/linted-fabric.ts';
import { settingsShown } from '../lint/settings-shown.ts';
import type { Topology } from '../model/topology.ts';
import { EXIT } from './exit-code.ts';
import { printable } from './say.ts';
import { devicesOf, fabricInLab, fabricOfInventory } from './lint-fabrics.ts';
import { lintText } from './lint-text.ts';
import { describedPlans, type PlanCommand } from './plan.ts';
import { inventoryAt } from './inventory-at.ts';
import { UsageError } from './usage-error.ts';

export interface LintCommand extends Pick<PlanCommand, 'files' | 'grep' | 'config' | 'set'> {
  /** A lab: of its spans, and what its devices are configured as. */
  readonly inventory?: string;
  /** Loss that spans are expected to have, a fraction of 1. */
  readonly loss?: number;
  readonly json?: string;
  readonly all: boolean;
}

/** What was found of one fabric, and which scenarios declare it; none for an inventory by itself. */
interface Linted {
  readonly fabric: LintedFabric;
  readonly scenarios: readonly string[];
  readonly findings: readonly Finding[];
  /** Why its devices were not looked at. */
  readonly absent?: string;
}

const SEVERITIES: readonly Severity[] = ['error', 'warning', 'unknown', 'info', 'ok'];

const toTerminal = (text: string): void => void process.stdout.write(`${printable(text, 1_000_000)}\n`);

/**
 * Compares what the kilometres imply with what is declared, and with what devices are configured as where an inventory is given. Reads
 * devices, never writes. Resolves with 1 when there are errors, as linters do; with 3 when a device could not be asked, because its
 * silence is no agreement; with 2 when there was nothing to look at.
 */
export async function lint(command: LintCommand, say: (text: string) => void = toTerminal): Promise<number> {
  const { inventory: file, loss, files, grep } = command;
  const inventory = file === undefined ? undefined : inventoryAt(file);
  const options = loss === undefined ? {} : { loss };
  const alone = inventory !== undefined && files.length === 0 && grep === undefined;
  const topologies = alone ? [] : await declaredTopologies(command);
  if (!alone && topologies.length === 0) {
    process.stderr.write(`farspan: no scenario matches ${[...files, grep ?? ''].join(' ').trim() || 'this world'}.\n`);
    return EXIT.undecided;
  }
  const read =
    inventory === undefined
      ? undefined
      : await readConfigurations(devicesOf(fabricOfInventory(inventory)), { inventory, env: process.env });
  const linted =
    alone && inventory !== undefined && read !== undefined
      ? [inventoryAlone(inventory, read)]
      : topologies.map(one => ofScenarios(one, inventory, read));
  for (const one of linted) for (const line of textOf(one, command)) say(line);
  const counts = tally(linted);
  say(counts.map(([severity, count]) => `${count} ${severity}`).join(', '));
  if (command.json !== undefined) writeJson(command.json, linted, counts);
  if (read !== undefined && read.unreached.some(({ asked }) => asked)) return EXIT.error;
  return counts.some(([severity, count]) => severity === 'error' && count > 0) ? EXIT.fail : EXIT.pass;

  function ofScenarios(
    { topology, titles }: DeclaredTopology,
    lab: Inventory | undefined,
    found: ReadConfigurations | undefined,
  ): Linted {
    const byNodes = { fabric: fabricOf(topology), scenarios: titles };
    if (lab === undefined || found === undefined) return { ...byNodes, findings: lintFabric(byNodes.fabric, options) };
    try {
      const fabric = fabricInLab(topology, solve(topology, lab));
      return { fabric, scenarios: titles, findings: [...lintFabric(fabric, options), ...ofDevices(fabric, found)] };
    } catch (error) {
      if (!(error instanceof TestbedUnavailable)) throw error;
      return { ...byNodes, findings: lintFabric(byNodes.fabric, options), absent: error.message };
    }
  }

  function inventoryAlone(lab: Inventory, found: ReadConfigurations): Linted {
    const bare = fabricOfInventory(lab);
    const switches = found.configurations.filter(one => one.kind === 'switch');
    const fabric = { ...bare, settings: settingsShown(bare, switches) };
    return { fabric, scenarios: [], findings: [...lintFabric(fabric, options), ...ofDevices(bare, found)] };
  }
}

/** Findings of the devices that play this fabric. */
function ofDevices(fabric: LintedFabric, { configurations, unreached }: ReadConfigurations): readonly Finding[] {
  const here = new Set(devicesOf(fabric));
  return lintDevices(
    fabric,
    configurations.filter(({ device }) => here.has(device)),
    unreached.filter(({ device }) => here.has(device)),
  );
}

interface DeclaredTopology {
  readonly topology: Topology;
  readonly titles: readonly string[];
}

/** Topologies of the scenarios that match, each once. */
async function declaredTopologies({ files, grep, config, set }: LintCommand): Promise<readonly DeclaredTopology[]> {
  const plans = await describedPlans({
    files,
    seed: 7,
    worlds: ['sim'],
    option: {},
    runs: 'runs',
    ...(grep !== undefined && { grep }),
    ...(config !== undefined && { config }),
    ...(set !== undefined && { set }),
  });
  const found = new Map<string, { readonly topology: Topology; readonly titles: string[] }>();
  for (const { topology, title } of plans) {
    const key = JSON.stringify(topology);
    const one = found.get(key) ?? { topology, titles: [] };
    found.set(key, one);
    one.titles.push(title);
  }
  return [...found.values()];
}

function textOf({ fabric, scenarios, findings, absent }: Linted, { all }: LintCommand): readonly string[] {
  return [
    scenarios.length === 0 ? fabric.name : `${fabric.name}: ${scenarios.map(title => `"${title}"`).join(', ')}`,
    ...(absent === undefined ? [] : [`  no device was compared: ${absent}`]),
    ...(fabric.spans.length === 0 ? ['  no span: only the cables inside the site were looked at'] : []),
    ...lintText(fabric, findings, { all }),
    '',
  ];
}

function tally(linted: readonly Linted[]): readonly (readonly [Severity, number])[] {
  const all = linted.flatMap(({ findings }) => findings);
  return SEVERITIES.map(severity => [severity, all.filter(finding => finding.severity === severity).length] as const);
}

function writeJson(file: string, linted: readonly Linted[], counts: ReturnType<typeof tally>): void {
  const content = {
    format: 1,
    counts: Object.fromEntries(counts),
    fabrics: linted.map(({ fabric, scenarios, findings, absent }) => ({
      name: fabric.name,
      scenarios,
      ...(absent !== undefined && { absent }),
      findings,
    })),
  };
  try {
    writeFileSync(file, `${JSON.stringify(content, null, 2)}\n`);
  } catch (error) {
    throw new UsageError(`${file} could not be written: ${(error as Error).message}`, { cause: error });
  }
}
