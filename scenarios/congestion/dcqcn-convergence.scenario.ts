import { ccConvergence, fairness, flowDoubling, goodput, HPCC_DCQCN_100G, plan, scenario } from '#harness';
import { oneSite } from '../topologies/one-site.ts';

const rack = oneSite({
  leaves: 1,
  hostsPerLeaf: 9,
  spines: 0,
  hosts: '100 Gb/s',
  uplinks: '100 Gb/s',
  settings: { dcqcn: { ...HPCC_DCQCN_100G, increaseTimer: '55 us', fastRecoveryRounds: 5 } },
});

scenario('four flows make room for four more', { tag: ['@congestion', '@dcqcn'] }, plan({
  why: 'New jobs join while old ones run. Congestion control must hand over bandwidth fast, and leave none unused.',
  derivation: `BMWG draft calabria-bmwg-ai-fabric-training-bench, congestion control convergence: M flows, M more at T0, time until all
    2M are within 10 % of their fair share. The draft names no limit; ours is 80 ms, judged on means over 10 ms. NIC as in the HPCC
    artefact with the paper's increase timer and fast recovery (55 us, F = 5). Goodput 85 % of the receiver's line rate.`,
  catches: { defect: 'dcqcn-deaf', by: 'ccConvergence' },

  topology: rack,
  load: flowDoubling({ flows: 4, join: '20 ms' }),

  phases: {
    joined: { for: '160 ms' },
  },

  expect: [
    ccConvergence.during('joined').atMost('80 ms'),
    goodput.during('joined').atLeast('85 Gb/s'),
    fairness.during('joined').atLeast('90 %'),
  ],
}));
