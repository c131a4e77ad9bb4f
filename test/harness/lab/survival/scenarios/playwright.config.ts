import { defineConfig } from '@playwright/test';
import type { ScenarioOptions } from '../../../../../harness/playwright/scenario.ts';

// The scenario that signals.test.ts interrupts, on a lab that the test holds.
const { FARSPAN_OPTIONS = '{}', FARSPAN_RUNS = 'runs' } = process.env;

export default defineConfig<ScenarioOptions>({
  testDir: '.',
  testMatch: '**/*.scenario.ts',
  outputDir: `${FARSPAN_RUNS}/playwright`,
  retries: 0,
  workers: 1,
  reporter: '../../../../../harness/playwright/reporter.ts',
  projects: [
    {
      name: 'lab',
      use: {
        world: 'lab',
        binding: '../../../../../harness/lab/lab-binding.ts',
        worldOptions: JSON.parse(FARSPAN_OPTIONS) as Record<string, string>,
        runsDir: FARSPAN_RUNS,
        trainPackets: null,
      },
    },
  ],
});
