import { defineConfig } from '@playwright/test';
import type { ScenarioOptions } from '../../../harness/playwright/scenario.ts';

// Scenarios that cli.test.ts plays: on the simulator, through a world that can be told to misbehave.
const { FARSPAN_SEED = '7', FARSPAN_OPTIONS = '{}', FARSPAN_RUNS = 'runs', FARSPAN_PROFILE = '' } = process.env;
const worldOptions = JSON.parse(FARSPAN_OPTIONS) as Record<string, string>;

export default defineConfig<ScenarioOptions>({
  testDir: worldOptions['trouble'] === 'broken-file' ? 'broken' : '.',
  testMatch: '**/*.scenario.ts',
  testIgnore: worldOptions['trouble'] === 'broken-file' ? [] : '**/broken/**',
  outputDir: `${FARSPAN_RUNS}/playwright`,
  retries: worldOptions['trouble'] === 'retries' ? 1 : 0,
  workers: 2,
  fullyParallel: true,
  reporter: '../../../harness/playwright/reporter.ts',
  projects: [
    {
      name: 'sim',
      use: {
        world: 'sim',
        binding: './troubled-world.ts',
        seed: Number(FARSPAN_SEED),
        worldOptions,
        runsDir: FARSPAN_RUNS,
        profileFile: FARSPAN_PROFILE,
        trainPackets: 1,
      },
    },
  ],
});
