/**
 * What the compiler must refuse in a scenario. Checked by `tsc`, never run: an expected error that does not come is an error itself.
 */
import {
  allReduce,
  busbw,
  convergence,
  cut,
  fairness,
  flap,
  goodput,
  jobRecovery,
  loss,
  pfcPause,
  plan,
  queuePeak,
  spec,
} from '#harness';
import { twoSites } from '../../scenarios/topologies/two-sites.ts';

const fabric = twoSites({
  ranksPerSite: 4,
  hosts: '100 Gb/s',
  uplinks: '100 Gb/s',
  spans: { north: { length: '80 km', rate: '400 Gb/s' }, south: { length: '120 km', rate: '400 Gb/s' } },
});

const question = { why: 'types', topology: fabric, load: allReduce({ bytes: '64 MiB' }) };
const phases = {
  steady: { for: '5 rounds' },
  northCut: { for: '5 rounds', faults: [cut(fabric.spans.north)] },
} as const;

// What a scenario may say.
plan({
  ...question,
  phases,
  expect: [
    busbw.during('steady').atLeast('90 Gb/s'),
    busbw.during('steady').atLeast('90 % of roofline'),
    busbw.during('northCut').atLeast('45 % of steady'),
    busbw.p5.during('steady').within('80 Gb/s', '100 % of roofline'),
    busbw.worst.during('steady').atLeast(spec('steady.busbw')),
    goodput.during('steady').atLeast('90 % of roofline'),
    convergence.during('northCut').atMost('50 ms'),
    jobRecovery.during('northCut').atMost(spec('failover.recovery')),
    pfcPause.during('northCut').atMost('5 %'),
    pfcPause.during('northCut').atMost('110 % of steady'),
    queuePeak.during('steady').atMost('2 MB'),
    fairness.during('steady').within('90 %', '100 %'),
    loss.during('steady').atMost('0 packets'),
  ],
});

// Units.
// @ts-expect-error a rate is no duration
convergence.during('northCut').atMost('50 Gb/s');
// @ts-expect-error a duration is no rate
busbw.during('steady').atLeast('50 ms');
// @ts-expect-error sec is no unit
convergence.during('northCut').atMost('50 sec');
// @ts-expect-error a number needs a unit
busbw.during('steady').atLeast('90');
// @ts-expect-error a number needs to be text with a unit
busbw.during('steady').atLeast(90e9);
// @ts-expect-error a share is no time
pfcPause.during('steady').atMost('2 ms');
// @ts-expect-error both ends of a range have the KPI's unit
busbw.during('steady').within('80 Gb/s', '2 ms');
// @ts-expect-error load sizes are sizes
allReduce({ bytes: '64 Gb/s' });
// @ts-expect-error a flap needs its down time
flap(fabric.spans.north, { every: '50 ms' });

// Spans.
// @ts-expect-error there is no span nroth
cut(fabric.spans.nroth);

// Statistics.
// @ts-expect-error p42 is no statistic
busbw.p42.during('steady');

// Phases.
plan({
  ...question,
  phases,
  expect: [
    // @ts-expect-error there is no phase stedy
    busbw.during('stedy').atLeast('90 Gb/s'),
  ],
});
plan({
  ...question,
  phases,
  expect: [
    // @ts-expect-error there is no phase stedy to compare with
    busbw.during('northCut').atLeast('45 % of stedy'),
  ],
});
plan({
  ...question,
  phases,
  expect: [
    // @ts-expect-error only rates have a roofline
    convergence.during('northCut').atMost('10 % of roofline'),
  ],
});
plan({
  ...question,
  phases,
  expect: [
    // @ts-expect-error only rates have a roofline, in a range too
    queuePeak.during('northCut').within('1 KiB', '10 % of roofline'),
  ],
});

// Phases last a time or rounds.
plan({
  ...question,
  // @ts-expect-error a phase lasts a time or rounds
  phases: { steady: { for: '5 laps' } },
  expect: [],
});
