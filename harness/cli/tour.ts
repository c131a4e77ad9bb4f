import { run } from './run.ts';

/** The scenarios tagged @tour, in both worlds that need no hardware. Resolves with the exit code. */
export const tour = (): Promise<number> =>
  run({ files: [], worlds: ['sim', 'emulated'], grep: '@tour', seed: 7, option: {}, runs: 'runs' });
