import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { EXIT } from '../harness/cli/exit-code.ts';

const ROOT = path.resolve(import.meta.dirname, '..');
const read = (file: string) => readFileSync(path.join(ROOT, file), 'utf8');
const README = read('README.md');
const blocks = (language: string) =>
  [...README.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(([, text]) => text ?? '');

async function farspan(...args: string[]): Promise<{ readonly code: number | null; readonly out: string }> {
  const child = spawn(process.execPath, [path.join(ROOT, 'bin/farspan.js'), ...args], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (out += chunk.toString()));
  const code = await new Promise<number | null>(resolve => child.on('close', resolve));
  return { code, out };
}

t.test('the scenario that the README shows is the one on the shelf', async t => {
  const [shown = ''] = blocks('ts');
  const shelf = read('scenarios/failover/span-cut.scenario.ts');
  const lines = shown.split('\n').filter(line => line.trim() !== '' && !line.startsWith('scenario('));
  t.ok(lines.length > 10);
  for (const line of lines) t.ok(shelf.includes(line), line);
});

t.test('the scenario without a plan that the README shows compiles as shown, plays and is left clean', async t => {
  const [, body = ''] = blocks('ts');
  // Outside scenarios/, where other tests play the shelf at the same time; inside the package, so that #harness is found.
  mkdirSync(path.join(ROOT, 'results'), { recursive: true });
  const folder = mkdtempSync(path.join(ROOT, 'results', 'readme-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const head = read('scenarios/failover/span-cut.scenario.ts').split("scenario('")[0] ?? '';
  writeFileSync(path.join(folder, 'by-hand.scenario.ts'), `${head.replace('../', '../../scenarios/')}${body}`);
  writeFileSync(
    path.join(folder, 'playwright.config.ts'),
    `import config from '../../playwright.config.ts';
     const [sim] = config.projects;
     const binding = ${JSON.stringify(path.join(ROOT, 'emulators/fabric-sim/binding.ts'))};
     const profileFile = ${JSON.stringify(path.join(ROOT, 'scenarios/profiles/default.yaml'))};
     const reporter = [[${JSON.stringify(path.join(ROOT, 'harness/playwright/reporter.ts'))}]];
     const projects = [{ ...sim, use: { ...sim.use, binding, profileFile } }];
     export default { ...config, testDir: '.', outputDir: 'output', reporter, projects };
    `,
  );
  const { code, out } = await farspan('run', '--config', path.join(folder, 'playwright.config.ts'), '--runs', folder);
  t.equal(code, EXIT.pass, out);
  t.match(out, /1 injected, 1 healed, 1 verified/);
});

t.test('every command that the README names exists, with the options it shows', async t => {
  const commands = [...README.matchAll(/npx farspan (\w+)([^\n#`]*)/g)];
  t.ok(commands.length >= 8);
  const helps = new Map<string, string>();
  for (const [, command = '', rest = ''] of commands) {
    if (!helps.has(command)) {
      const { code, out } = await farspan(command, '--help');
      t.equal(code, 0, `farspan ${command} --help`);
      helps.set(command, out);
    }
    for (const [option] of rest.matchAll(/(?<=\s)--?[a-z][\w-]*/g))
      t.match(helps.get(command), option, `${command} ${option}`);
  }
});

t.test('the exit codes and the npm scripts are as the README says', async t => {
  const said = /Exit codes: ([\s\S]*?)\.\s/.exec(README)?.[1] ?? '';
  t.same(
    [...said.matchAll(/(?:^|·\s)(\d+) /g)].map(([, code]) => Number(code)),
    Object.values(EXIT),
  );
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  for (const [, name = ''] of README.matchAll(/npm (?:run )?(start|test|check|setup:system)/g))
    t.ok(scripts[name], name);
});
