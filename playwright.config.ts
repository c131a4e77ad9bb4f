import path from 'node:path';
import { defineConfig } from '@playwright/test';
import type { ScenarioOptions } from './harness/playwright/scenario.ts';

// The composition root: the one place that names worlds, by module path. `farspan run` fills the environment.
const {
  FARSPAN_SEED: seed = '7',
  FARSPAN_OPTIONS: options = '{}',
  FARSPAN_PROFILE: profileFile = 'scenarios/profiles/default.yaml',
  FARSPAN_RUNS: runsDir = 'runs',
  FARSPAN_TRAIN: trainPackets = '8',
  FARSPAN_REPORTER: reporter = './harness/playwright/reporter.ts',
} = process.env;

const worldOptions = JSON.parse(options) as Record<string, string>;
const shared = { seed: Number(seed), profileFile, runsDir };
const simulated = { ...shared, worldOptions, trainPackets: Number(trainPackets) };

export default defineConfig<ScenarioOptions>({
  testDir: 'scenarios',
  testMatch: '**/*.scenario.ts',
  outputDir: path.join(import.meta.dirname, 'results'),
  retries: 0,
  // A scenario without progress is stopped by its own watchdog; this only holds until the fixture has set it.
  timeout: 120_000,
  fullyParallel: true,
  workers: 2,
  reporter: [[reporter]],
  projects: [
    { name: 'sim', use: { ...simulated, world: 'sim', binding: './emulators/fabric-sim/binding.ts' } },
    {
      name: 'emulated',
      use: {
        ...simulated,
        world: 'emulated',
        binding: './harness/lab/lab-binding.ts',
        provider: './emulators/device/provider.ts',
      },
    },
    {
      name: 'lab',
      workers: 1,
      use: { ...shared, worldOptions, world: 'lab', binding: './harness/lab/lab-binding.ts', trainPackets: null },
    },
  ],
});
