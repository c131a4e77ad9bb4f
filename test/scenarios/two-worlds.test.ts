import t from 'tap';
import { kpiErrors } from '../../harness/run/kpi-errors.ts';
import { measurementError } from '../../harness/run/measurement-error.ts';
import { play, type Played } from './play.ts';

t.setTimeout(300_000);

const PATTERN = '@tour';
const sim = await play({ world: 'sim', pattern: PATTERN });
const emulated = await play({ world: 'emulated', pattern: PATTERN });

/**
 * How far one KPI may be apart in the two worlds, beyond the emulated world's own U. The fabric and the seed are the same; a fault
 * falls into another moment of a round, and the harness plays an even number of rounds where nccl-tests prints two to a row.
 */
const APART: Readonly<Record<string, { readonly relative: number; readonly absolute: number }>> = {
  busbw: { relative: 0.01, absolute: 0 },
  // One probe interval at each end.
  convergence: { relative: 0, absolute: 2 * 50_000 },
  // One round of the job: recovery is told at the end of a round.
  jobRecovery: { relative: 0, absolute: 15e6 },
  loss: { relative: 0, absolute: 0 },
  probeLoss: { relative: 0, absolute: 0 },
};

const named = (runs: readonly Played[], title: string) => runs.find(run => run.title === title);

t.test('both worlds play the same scenarios and pass them', async t => {
  t.ok(sim.length >= 3);
  t.same(emulated.map(({ title }) => title).toSorted(), sim.map(({ title }) => title).toSorted());
  for (const { title, verdict } of [...sim, ...emulated])
    t.equal(verdict.outcome, 'pass', title, { why: verdict.reason });
});

for (const { title, verdict } of sim) {
  t.test(`the KPIs of "${title}" agree through SSH and SNMP`, async t => {
    for (const [i, known] of verdict.checks.entries()) {
      const measured = named(emulated, title)?.verdict.checks[i];
      t.equal(measured?.title, known.title);
      const { relative, absolute } = APART[known.kpi] ?? { relative: 0, absolute: 0 };
      const apart = Math.abs((measured?.value ?? Number.NaN) - (known.value ?? Number.NaN));
      const allowed = (measured?.uncertainty ?? Number.NaN) + relative * (known.value ?? Number.NaN) + absolute;
      t.comment(
        `${known.title}: sim ${known.value}, emulated ${measured?.value} ± ${measured?.uncertainty}, apart ${apart}`,
      );
      t.ok(apart <= allowed, `${known.title}: ${apart} apart, ${allowed} allowed`);
    }
  });
}

/** KPIs that the simulator's truth can not give, and why. */
const UNTOLD: Readonly<Record<string, RegExp>> = {
  // Counters are told once, when the lab is given back: no growth over a phase can be taken from that.
  loss: /^the simulator's truth does not give it: drops of .*one reading only|no port reported drops/,
};

for (const { title, lines } of emulated) {
  t.test(`in "${title}" U covers how far each KPI is from what the simulator knows`, async t => {
    const errors = kpiErrors(lines);
    for (const error of errors) {
      const name = `${error.statistic} ${error.kpi} during ${error.phase}`;
      if (error.missing !== undefined) {
        t.match(error.missing, UNTOLD[error.kpi] ?? 'no KPI is left out without a reason', `${name}: ${error.missing}`);
        continue;
      }
      const { measured, truth, absolute, uncertainty } = error;
      t.comment(`${name}: measured ${measured}, truth ${truth}, apart ${absolute}, U ${uncertainty}`);
      t.ok(uncertainty !== null && absolute <= uncertainty, `${name}: ${absolute} apart, U is ${uncertainty}`);
    }
    if (!title.includes('survives the cut')) return;
    t.same(errors.flatMap(({ kpi, phase, missing }) => (missing === undefined ? [`${kpi} ${phase}`] : [])).toSorted(), [
      'busbw northCut',
      'busbw restored',
      'busbw steady',
      'convergence northCut',
      'jobRecovery northCut',
    ]);
  });

  t.test(`in "${title}" the drivers measured what the simulator knows`, async t => {
    const errors = measurementError(lines);
    t.ok(errors.length > 0, 'the clock service told the truth');
    for (const { quantity, phase, measured, truth, absolute, relative } of errors) {
      t.comment(`${quantity} in ${phase}: measured ${measured}, truth ${truth}`);
      if (quantity === 'busbw')
        t.ok((relative ?? 1) < 1e-4, `busbw in ${phase}: the printed time has five digits and more`);
      if (quantity.endsWith('Bytes')) t.equal(absolute, 0, `${quantity} in ${phase}: counters are exact`);
      if (quantity === 'round begin') t.ok(absolute < 1e6, `rounds in ${phase} begin within 1 ms of what was derived`);
    }
    const quantities = new Set(errors.map(({ quantity }) => quantity));
    for (const quantity of ['busbw', 'round time', 'txBytes']) t.ok(quantities.has(quantity), quantity);
    const spans = lines.some(line => line.kind === 'run' && Object.keys(line.plan.topology.spans).length > 0);
    t.equal(quantities.has('probe sent'), spans, 'probes are compared where there are spans');
  });
}
