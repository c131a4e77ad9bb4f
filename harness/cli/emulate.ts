import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { EXIT } from './exit-code.ts';
import { describedPlans } from './plan.ts';
import { ROOT } from './playwright-run.ts';
import { UsageError } from './usage-error.ts';

export interface EmulateCommand {
  readonly files: readonly string[];
  readonly grep?: string;
  readonly seed: number;
  readonly train: number;
  readonly defect?: string;
  readonly pace?: number;
}

/** A program, not an import: the emulated lab is a process of its own, named by path as in playwright.config.ts. */
const LAB = 'emulators/device/main.ts';

/** Emulates the lab of one scenario in the foreground until it is interrupted. @throws UsageError when not exactly one topology matches */
export async function emulate({ files, grep, seed, train, defect, pace }: EmulateCommand): Promise<number> {
  const plans = await describedPlans({
    files,
    seed,
    train,
    worlds: ['sim'],
    option: {},
    runs: 'runs',
    ...(grep !== undefined && { grep }),
  });
  const topologies = new Map(plans.map(plan => [JSON.stringify(plan.topology), plan]));
  const [one, ...others] = topologies.values();
  if (!one)
    throw new UsageError('no scenario matches, so there is no lab to emulate. List them with: npx farspan plan');
  if (others.length > 0) {
    const titles = [one, ...others].map(({ title }) => `  -g ${JSON.stringify(title)}`);
    throw new UsageError(`${titles.length} different labs match; name one:\n${titles.join('\n')}`);
  }
  const folder = mkdtempSync(path.join(os.tmpdir(), 'farspan-lab-'));
  const topology = path.join(folder, 'topology.json');
  writeFileSync(topology, JSON.stringify(one.topology));
  const args = [
    `--topology=${topology}`,
    `--seed=${seed}`,
    `--train=${train}`,
    ...(defect === undefined ? [] : ['--defect', defect]),
    ...(pace === undefined ? [] : ['--pace', String(pace)]),
  ];
  try {
    // The terminal's Ctrl-C reaches the child by itself; here it must only not end us before the child has ended.
    const ignore = (): void => {};
    process.on('SIGINT', ignore);
    const child = spawn(process.execPath, ['--import', 'tsx', path.join(ROOT, LAB), ...args], {
      stdio: 'inherit',
      cwd: ROOT,
    });
    const forward = (): void => void child.kill('SIGTERM');
    process.on('SIGTERM', forward);
    const status = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    process.off('SIGINT', ignore);
    process.off('SIGTERM', forward);
    if (status === EXIT.usage) return EXIT.usage;
    return status === 0 || status === null ? EXIT.pass : EXIT.error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
