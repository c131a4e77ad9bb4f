import { readFile } from 'node:fs/promises';
import t from 'tap';
import provider from '../../../emulators/device/provider.ts';
import { openShell } from '../../../harness/lab/connect.ts';
import { readInventory } from '../../../harness/lab/inventory.ts';
import binding from '../../../harness/lab/lab-binding.ts';
import { DEFAULT_FABRIC } from '../../../harness/model/fabric-settings.ts';
import type { CountersLine, RecordLine } from '../../../harness/model/record.ts';
import { cable, type Topology } from '../../../harness/model/topology.ts';

const TOPOLOGY: Topology = {
  name: 'one-leaf',
  sites: ['x'],
  hosts: ['x1', 'x2'].map(name => ({ kind: 'host', name, site: 'x' })),
  switches: [{ kind: 'switch', name: 'xl', site: 'x', role: 'leaf' }],
  links: ['x1', 'x2'].map(host => cable({ node: host, port: 'eth0' }, { node: 'xl', port: host }, '100 Gb/s', '20 m')),
  spans: {},
  settings: DEFAULT_FABRIC,
};

const lab = await provider.provide(TOPOLOGY, { seed: 1, options: {} });
t.teardown(() => lab.stop());

void t.test("another user's clear splits what the CLI shows, and nothing else", async t => {
  const lines: RecordLine[] = [];
  const testbed = await binding.reserve(TOPOLOGY, {
    seed: 1,
    record: line => lines.push(line),
    step: () => {},
    options: { inventory: lab.inventory },
  });
  t.teardown(() => testbed.release());
  const load = await testbed.start({ kind: 'all-reduce', bytes: '1 MiB', algorithm: 'ring' });
  await testbed.elapse({ forNs: 1e6 });
  await testbed.observe();

  const inventory = readInventory(await readFile(lab.inventory, 'utf8'), lab.inventory);
  const entry = inventory.devices['xl'];
  if (!entry) throw new Error('the inventory has no xl');
  const other = await openShell('xl', entry, { inventory, env: {} });
  t.teardown(() => other.close());
  for (const what of ['queuecounters', 'pfccounters'])
    t.equal((await other.run(`sonic-clear ${what}`)).exitCode, 0, `sonic-clear ${what}`);

  await testbed.elapse({ forNs: 1e5 });
  await testbed.observe();
  await testbed.elapse({ forNs: 1e6 });
  await testbed.observe();
  await load.stop();

  const readings = lines.filter(
    (line): line is CountersLine =>
      line.kind === 'counters' && line.node === 'xl' && line.ports['x1']?.queuePackets !== undefined,
  );
  const [, before, cleared, after] = readings;
  const of = (line: CountersLine | undefined) => line?.ports['x1'];
  t.ok((of(before)?.queuePackets ?? 0) > 0, 'packets left the queue before');
  t.same(cleared?.anew, { x1: ['queuePackets'], x2: ['queuePackets'] });
  t.equal(of(cleared)?.queuePackets, 0);
  t.ok((of(after)?.queuePackets ?? 0) > 0, 'and are counted anew after');
  t.equal(after?.anew, undefined);
  t.ok((of(cleared)?.txPackets ?? 0) > (of(before)?.txPackets ?? 0), 'the agent counts on');
  t.match(
    lines.filter(({ kind }) => kind === 'event'),
    [{ node: 'xl', what: 'counter reset: queuePackets went backwards (x1, x2)' }],
  );
});
