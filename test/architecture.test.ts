import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import ts from 'typescript';

const ROOT = path.resolve(import.meta.dirname, '..');

/** Who may import whom, besides itself. The picture in ARCHITECTURE.md is drawn from this table. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  'harness/model': [],
  'harness/binding': ['harness/model'],
  'harness/faults': ['harness/model'],
  'harness/loads': ['harness/model'],
  'harness/checks': ['harness/model'],
  'harness/lint': ['harness/model'],
  'harness/run': ['harness/model', 'harness/binding', 'harness/faults', 'harness/loads', 'harness/checks'],
  'harness/drivers': ['harness/model', 'harness/binding'],
  'harness/lab': ['harness/model', 'harness/binding', 'harness/drivers', 'harness/loads', 'harness/faults'],
  'harness/playwright': [
    'harness/model',
    'harness/binding',
    'harness/run',
    'harness/loads',
    'harness/faults',
    'harness/checks',
    'reports',
  ],
  'harness/cli': [
    'harness/playwright',
    'harness/model',
    'harness/binding',
    'harness/run',
    'harness/lab',
    'harness/lint',
    'harness/drivers',
    'harness/faults',
    'harness/loads',
    'harness/checks',
    'reports',
  ],
  'harness/index.ts': ['harness/model', 'harness/playwright', 'harness/faults', 'harness/loads', 'harness/checks'],
  'emulators/fabric-sim': ['harness/model', 'harness/binding'],
  'emulators/device': ['harness/model', 'harness/binding', 'emulators/fabric-sim/index.ts'],
  reports: ['harness/model'],
  'scenarios/topologies': ['#harness'],
  'scenarios/congestion': ['scenarios/topologies', '#harness'],
  'scenarios/failover': ['scenarios/topologies', '#harness'],
  'scenarios/throughput': ['scenarios/topologies', '#harness'],
};

/** Packages that one file, and no other, may import. */
const ONLY_IMPORTER: Readonly<Record<string, readonly string[]>> = {
  '@playwright/test': ['harness/playwright', 'playwright.config.ts'],
  ssh2: ['harness/drivers/ssh.ts', 'emulators/device'],
  'net-snmp': ['harness/drivers/snmp.ts', 'emulators/device'],
};

const inside = (file: string, room: string) => file === room || file.startsWith(`${room}/`);

function* sources(folder: string): Generator<string> {
  for (const entry of readdirSync(path.join(ROOT, folder), { withFileTypes: true, recursive: true })) {
    if (entry.isFile() && entry.name.endsWith('.ts'))
      yield path.relative(ROOT, path.join(entry.parentPath, entry.name));
  }
}

function importsOf(file: string): string[] {
  return ts.preProcessFile(readFileSync(path.join(ROOT, file), 'utf8')).importedFiles.map(({ fileName }) => fileName);
}

const resolved = (file: string, target: string) =>
  target.startsWith('.') ? path.normalize(path.join(path.dirname(file), target)) : target;

const roomOf = (file: string) =>
  Object.keys(MAY_IMPORT)
    .filter(room => inside(file, room))
    .toSorted((a, b) => b.length - a.length)[0];

const FILES = ['harness', 'emulators', 'reports', 'scenarios'].flatMap(folder => [...sources(folder)]);

t.test('every source file lives in a room of the import table', async t => {
  t.ok(FILES.length > 40, `${FILES.length} files were looked at`);
  t.same(
    FILES.filter(file => roomOf(file) === undefined),
    [],
  );
});

for (const [room, allowed] of Object.entries(MAY_IMPORT)) {
  t.test(`${room} imports only ${allowed.join(', ') || 'itself'}`, async t => {
    const strangers = FILES.filter(file => roomOf(file) === room).flatMap(file =>
      importsOf(file)
        .filter(target => target.startsWith('.') || target.startsWith('#'))
        .map(target => resolved(file, target))
        .filter(target => !inside(target, room) && !allowed.some(other => inside(target, other)))
        .map(target => `${file} -> ${target}`),
    );
    t.same(strangers, []);
  });
}

for (const [name, importers] of Object.entries(ONLY_IMPORTER)) {
  t.test(`${name} is imported by ${importers.join(' and ')} alone`, async t => {
    const strangers = FILES.filter(
      file => importsOf(file).includes(name) && !importers.some(room => inside(file, room)),
    );
    t.same(strangers, []);
  });
}

t.test('only playwright.config.ts names a world, and by module path', async t => {
  const worlds = ['emulators/fabric-sim/binding.ts', 'harness/lab/lab-binding.ts', 'emulators/device/provider.ts'];
  const named = readFileSync(path.join(ROOT, 'playwright.config.ts'), 'utf8');
  for (const world of worlds) t.match(named, world);
  t.same(
    FILES.flatMap(file => importsOf(file).map(target => ({ file, target: resolved(file, target) }))).filter(
      ({ file, target }) => worlds.includes(target) && !inside(file, path.dirname(target)),
    ),
    [],
  );
});

t.test('no file is called utils, helpers, manager, common or base', async t => {
  t.same(
    FILES.filter(file => /(^|[-/])(utils?|helpers?|manager|common|base)(\.ts|\/|-)/.test(file)),
    [],
  );
});
