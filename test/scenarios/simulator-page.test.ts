import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { DEFECTS } from '../../emulators/fabric-sim/defects.ts';
import { LAWS } from '../../emulators/fabric-sim/transport/laws.ts';
import { DEFAULT_FABRIC } from '../../harness/model/fabric-settings.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(path.join(ROOT, file), 'utf8');
const PAGE = read('docs/simulator.md');
const rows = PAGE.split('\n').filter(line => line.startsWith('| '));
const cellsOf = (row: string) => row.split('|').map(cell => cell.trim());

/** Values as the page writes them: the last digits of what is no round number are left out. */
const written = (value: number) =>
  value >= 1e6 ? value.toExponential().replace('e+', 'e') : `${+value.toPrecision(6)}`;

t.test('the page lists every congestion control law with its parameters and defaults, and no other', async t => {
  const named = new Map(rows.map(row => [cellsOf(row)[1], row]));
  const laws = [...named.keys()].filter(name => /^`[a-z-]+`$/.test(name ?? '') && name !== '`none`');
  const table = laws.filter(name => /transport\//.test(named.get(name) ?? ''));
  t.same(new Set(table), new Set(Object.keys(LAWS).map(name => `\`${name}\``)));
  for (const { name, parameters } of Object.values(LAWS)) {
    const [, , says = '', listed] = cellsOf(named.get(`\`${name}\``) ?? '');
    t.ok(says.length > 20, `${name} is described`);
    const expected = Object.entries(parameters)
      .map(([key, value]) => `\`${key}\` ${written(value)}`)
      .join(', ');
    t.equal(listed, expected, name);
  }
});

t.test('the page explains every setting of a fabric that has a name', async t => {
  const model = read('harness/model/topology.ts');
  for (const type of [
    'EcnSettings',
    'PfcSettings',
    'PfcWatchdogSettings',
    'SwitchingSettings',
    'TransportSettings',
    'SelectiveRepeatSettings',
    'ControlPlaneSettings',
    'DcqcnSettings',
    'RoceSettings',
    'FabricSettings',
  ]) {
    const [, body = ''] = new RegExp(`export interface ${type} \\{([\\s\\S]*?)\\n\\}`).exec(model) ?? [];
    const names = [...body.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, name]) => name ?? '');
    t.ok(names.length > 0, type);
    for (const name of names) t.ok(PAGE.includes(`\`${name}\``), `${type}.${name}`);
  }
});

t.test('the defaults that the page gives are those of the code', async t => {
  const said = (setting: string) => cellsOf(rows.find(row => cellsOf(row)[1] === `\`${setting}\``) ?? '')[2];
  const { ecn, pfc, roce, dcqcn, controlPlane } = DEFAULT_FABRIC;
  t.equal(said('bufferPerSwitch'), DEFAULT_FABRIC.bufferPerSwitch);
  t.equal(said('ecn'), `\`min\` ${ecn?.min}, \`max\` ${ecn?.max}, \`probability\` ${ecn?.probability}`);
  t.equal(said('pfc'), `\`xoff\` ${pfc?.xoff}, \`xon\` ${pfc?.xon}`);
  t.equal(said('roce'), `\`mtu\` ${roce.mtu}, \`retransmitTimeout\` ${roce.retransmitTimeout}`);
  const listed = (settings: object) =>
    Object.entries(settings)
      .map(([name, value]) => `\`${name}\` ${value === 1 / 256 ? '1/256' : value}`)
      .join(', ');
  t.equal(said('dcqcn'), listed(dcqcn ?? {}));
  t.equal(said('controlPlane'), listed(controlPlane));
});

t.test('what the page’s example builds and its commands play is on the shelf', async t => {
  const shelf = readdirSync(path.join(ROOT, 'scenarios'), { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.scenario.ts'))
    .map(file => read(path.join('scenarios', file)))
    .join('\n');
  const [, example = ''] = /```ts\n([\s\S]*?)```/.exec(PAGE) ?? [];
  for (const line of example.split('\n').filter(line => /^ +\w+: \{ /.test(line)))
    t.ok(shelf.includes(line.trim()), line);
  const patterns = [...PAGE.matchAll(/npx farspan .*?-g "([^"]+)"/g)].map(([, pattern = '']) => pattern);
  t.ok(patterns.length >= 3);
  for (const pattern of patterns) t.match(shelf, new RegExp(`scenario\\('[^']*${pattern}`), pattern);
});

t.test('files and defects that the page names exist', async t => {
  for (const [, file = ''] of PAGE.matchAll(/\]\(([^)#:]+)\)/g)) {
    if (file === 'accuracy.md' || file === 'performance.md') continue; // Written by `npm run accuracy` and by the bench.
    t.doesNotThrow(() => read(path.join('docs', file)), file);
  }
  for (const [, defect = ''] of PAGE.matchAll(/--defect ([\w-]+)/g)) t.ok(Object.hasOwn(DEFECTS, defect), defect);
});
