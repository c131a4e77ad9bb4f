// Runs what the README promises and counts it: the static checks, `npm test` (assertions, nothing skipped) and `npm start`.
import { spawn, spawnSync } from 'node:child_process';
import { Parser } from 'tap-parser';

let passed = 0;
let failed = 0;

for (const [title, command, ...args] of [
  ['format', 'npx', 'biome', 'format', '.'],
  ['types', 'npx', 'tsc', '-p', '.'],
  ['lint', 'npx', 'oxlint', '--type-aware'],
  ['dead code', 'npx', 'knip'],
]) {
  const { status } = spawnSync(command, args, { stdio: 'inherit' });
  console.log(`${status === 0 ? '✔' : '✘'} ${title}`);
  if (status === 0) passed++;
  else failed++;
}

const tests = await new Promise(resolve => {
  const child = spawn('npm', ['test', '--', '--reporter=tap'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const counts = { passed: 0, failed: 0, skipped: [] };
  const count = parser => {
    parser.on('child', count);
    parser.on('assert', assertion => {
      // A subtest is counted by its own assertions, not again by its closing line.
      if (assertion.skip)
        counts.skipped.push(`${assertion.fullname}: ${assertion.skip === true ? 'no reason' : assertion.skip}`);
      else if (!assertion.ok && !assertion.todo) counts.failed++;
      else counts.passed++;
    });
  };
  const parser = new Parser();
  count(parser);
  child.stdout.pipe(parser);
  child.stdout.pipe(process.stdout);
  child.on('close', code => resolve({ ...counts, code }));
});
passed += tests.passed;
failed += tests.failed;
for (const line of tests.skipped) console.log(`✘ skipped in CI: ${line}`);
failed += tests.skipped.length;
if (tests.code !== 0 && tests.failed === 0) failed++;

const tour = spawnSync('npm', ['start'], { stdio: 'inherit' });
console.log(`${tour.status === 0 ? '✔' : '✘'} npm start`);
if (tour.status === 0) passed++;
else failed++;

console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
