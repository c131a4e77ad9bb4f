// Everything a change must pass, in one command: format, types, lint, dead code, import rule, tests, every scenario once in `sim`.
import { spawnSync } from 'node:child_process';

const STEPS = [
  ['format', 'npx', 'biome', 'format', '.'],
  ['types', 'npx', 'tsc', '-p', '.'],
  ['lint', 'npx', 'oxlint', '--type-aware'],
  ['dead code', 'npx', 'knip'],
  ['tests and import rule', 'npm', 'test'],
  ['every scenario once in sim', 'node', 'bin/farspan.js', 'run', '--world', 'sim'],
];

for (const [title, command, ...args] of STEPS) {
  const begin = performance.now();
  console.log(`\n── ${title}: ${command} ${args.join(' ')}`);
  const { status } = spawnSync(command, args, { stdio: 'inherit' });
  if (status !== 0) {
    console.error(`\n✘ ${title} failed. Run it alone: ${command} ${args.join(' ')}`);
    process.exit(1);
  }
  console.log(`✔ ${title}, ${((performance.now() - begin) / 1000).toFixed(1)} s`);
}
