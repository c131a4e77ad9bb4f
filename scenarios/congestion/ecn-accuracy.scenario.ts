import { ecnMarks, incast, permutation, plan, queuePeak, scenario } from '#harness';
import { oneSite } from '../topologies/one-site.ts';

const rack = oneSite({ leaves: 1, hostsPerLeaf: 8, spines: 0, hosts: '100 Gb/s', uplinks: '100 Gb/s' });

scenario('a queue below its threshold is never marked', { tag: ['@congestion', '@ecn'] }, plan({
  why: 'A mark without congestion slows jobs for nothing. One flow per port builds no queue, so no packet may carry CE.',
  derivation: 'BMWG draft, ECN accuracy: 0 % below the threshold. One sender per receiver at equal rates keeps each queue under one message.',
  catches: { defect: 'ecn-eager', by: 'ecnMarks' },

  topology: rack,
  load: permutation({ bytes: '4 MiB' }),
  phases: { calm: { for: '5 rounds' } },
  expect: [ecnMarks.during('calm').atMost('0 %')],
}));

scenario('an incast is marked where its threshold says', { tag: ['@congestion', '@ecn'] }, plan({
  why: 'Marks that come late leave PFC to do the work. The queue must be marked, and stay near the marking band.',
  derivation: `RED between 400 KB and 1600 KB at 100 Gb/s (HPCC artefact, run.py): a standing queue is marked, and congestion control holds
    it below three times Kmax even while the first round trip of seven senders lands at line rate.`,
  catches: { defect: 'ecn-late', by: 'ecnMarks' },

  topology: rack,
  load: incast({ bytes: '8 MiB', senders: 7 }),
  phases: { burst: { for: '5 rounds' } },
  expect: [
    ecnMarks.during('burst').atLeast('0.1 %'),
    queuePeak.during('burst').atMost('4.8 MB'),
  ],
}));
