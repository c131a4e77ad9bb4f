import { busbw, fairness, loss, permutation, plan, scenario } from '#harness';
import { oneSite } from '../topologies/one-site.ts';

const pod = oneSite({ leaves: 2, hostsPerLeaf: 4, spines: 4, hosts: '100 Gb/s', uplinks: '200 Gb/s' });

scenario('a permutation across the spines spreads over all of them', { tag: ['@throughput', '@ecmp'] }, plan({
  why: 'Every host sends to another leaf at full rate. ECMP hashes flows blindly; the fabric must have room for its collisions.',
  derivation: `Each leaf has four 200 Gb/s uplinks for four 100 Gb/s hosts: two flows fit on one uplink. The chance that three or more of four
    share one is 1 - 24/256 - 144/256 - 36/256 = 52/256 per leaf, which leaves 2/3 of the line rate; all four on one leave 1/2. 60 % of roofline, of which
    congestion control may lose a tenth; a polarised hash puts all four on one link and on one spine.`,
  catches: { defect: 'ecmp-polarised', by: 'busbw' },

  topology: pod,
  load: permutation({ bytes: '16 MiB', shift: 4 }),

  phases: { steady: { for: '5 rounds' } },

  expect: [
    busbw.during('steady').atLeast('60 % of roofline'),
    fairness.during('steady').atLeast('85 %'),
    loss.during('steady').atMost('0 packets'),
  ],
}));
