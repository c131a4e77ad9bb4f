import t from 'tap';
import { exactly, play, type Played } from './play.ts';

// The shelf once, and each of its defects: minutes on a busy machine.
t.setTimeout(600_000);

const words = ({ verdict }: Played) =>
  [verdict.reason, ...verdict.gates.map(gate => gate.reason), ...verdict.checks.map(check => check.reason)].join('\n');

const healthy = await play({ world: 'sim' });

t.test('a healthy fabric passes every scenario of the shelf', async t => {
  t.ok(healthy.length >= 12, `${healthy.length} scenarios`);
  for (const played of healthy) t.equal(played.verdict.outcome, 'pass', played.title, { why: words(played) });
});

t.test('every scenario names the planted defect that it is there to catch, and derives its limits', async t => {
  for (const { title, catches, lines } of healthy) {
    t.ok(catches, title);
    t.ok(lines[0]?.kind === 'run' && lines[0].plan.derivation, title);
  }
});

const defects = new Set(healthy.flatMap(({ catches }) => catches?.defect ?? []));
for (const defect of [...defects].toSorted()) {
  const titles = healthy.filter(({ catches }) => catches?.defect === defect).map(({ title }) => title);
  t.test(`with ${defect}, what should catch it fails, and by the KPI that should`, async t => {
    const broken = await play({ world: 'sim', pattern: exactly(titles), defect });
    t.same(broken.map(({ title }) => title).toSorted(), titles.toSorted());
    for (const played of broken) {
      t.equal(played.verdict.outcome, 'fail', played.title, { why: words(played) });
      const failing = played.verdict.checks.filter(check => check.outcome === 'fail').map(check => check.kpi);
      t.ok(failing.includes(played.catches?.by ?? 'nothing'), `${played.title}: ${failing.join(', ')} failed`);
      t.same(played.verdict.cleanliness.dirty, [], `${played.title} leaves the testbed clean`);
    }
  });
}
