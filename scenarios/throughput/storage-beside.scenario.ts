import { allReduce, busbw, loss, plan, scenario, storage } from '#harness';
import { oneSite } from '../topologies/one-site.ts';

const pod = oneSite({ leaves: 2, hostsPerLeaf: 4, spines: 2, hosts: '100 Gb/s', uplinks: '200 Gb/s' });

scenario('storage traffic in the background leaves an all-reduce its share', { tag: ['@throughput', '@interference'] }, plan({
  why: 'Checkpoints and data loading share the fabric with the job. They may cost the job what they take, not more.',
  derivation: `Every host reads and writes 10 Gb/s in all: a tenth of the ports, so at least 90 % are left. The ring goes at the pace of its slowest edge at each
    moment, and transfers come in bursts of up to 4 MiB at line rate: 60 % of roofline, own limit (the BMWG draft's interference test reports
    contention over baseline and sets none).`,
  catches: { defect: 'slow-uplink', by: 'busbw' },

  topology: pod,
  load: allReduce({ bytes: '16 MiB' }),
  background: [storage({ rate: '10 Gb/s', largest: '4 MiB' })],

  phases: { steady: { for: '10 rounds' } },

  expect: [
    busbw.during('steady').atLeast('60 % of roofline'),
    loss.during('steady').atMost('0 packets'),
  ],
}));
