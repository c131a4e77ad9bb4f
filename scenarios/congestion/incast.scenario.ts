import { busbw, incast, loss, plan, scenario } from '#harness';
import { oneSite } from '../topologies/one-site.ts';

const rack = oneSite({
  leaves: 1,
  hostsPerLeaf: 9,
  spines: 0,
  hosts: '100 Gb/s',
  uplinks: '100 Gb/s',
  settings: { bufferPerSwitch: '2 MB', pfc: { xoff: '96 KB', xon: '64 KB' } },
});

scenario('an incast of 8 to 1 fills the receiver and drops nothing', { tag: ['@congestion', '@incast', '@tour'] }, plan({
  why: 'A parameter server or a gather sends everything to one port at once. The port must stay full and the lossless class lossless.',
  derivation: `Roofline is the receiver's line rate less 82 B of headers per 4096 B (98.04 %). BMWG draft
    calabria-bmwg-ai-fabric-training-bench names 90 % for whole jobs; a round that ends with its slowest sender alone gets 80 %, own limit.
    Zero drops: the same draft, 0 ppm.`,
  catches: { defect: 'pfc-off', by: 'loss' },

  topology: rack,
  load: incast({ bytes: '4 MiB', senders: 8 }),

  phases: {
    burst: { for: '6 rounds' },
  },

  expect: [
    busbw.during('burst').atLeast('80 % of roofline'),
    loss.during('burst').atMost('0 packets'),
  ],
}));
