import { defineConfig } from '@playwright/test';
import type { ScenarioOptions } from '../../../harness/playwright/scenario.ts';

// The same scenarios on a lab that an inventory names, for tests that look at what such a run writes and prints.
const { FARSPAN_SEED = '7', FARSPAN_OPTIONS = '{}', FARSPAN_RUNS = 'runs' } = process.env;

export default defineConfig<ScenarioOptions>({
  testDir: process.env['FARSPAN_TEST_SCENARIOS'] ?? '.',
  testMatch: '**/*.scenario.ts',
  testIgnore: '**/broken/**',
  outputDir: `${FARSPAN_RUNS}/playwright`,
  workers: 1,
  reporter: '../../../harness/playwright/reporter.ts',
  projects: [
    {
      name: 'lab',
      use: {
        world: 'lab',
        binding: '../../../harness/lab/lab-binding.ts',
        seed: Number(FARSPAN_SEED),
        worldOptions: JSON.parse(FARSPAN_OPTIONS) as Record<string, string>,
        runsDir: FARSPAN_RUNS,
        profileFile: '',
        trainPackets: null,
      },
    },
  ],
});
