import { incast, loss, pfcPause, plan, scenario } from '#harness';
import { oneSite } from '../topologies/one-site.ts';

const pod = oneSite({ leaves: 2, hostsPerLeaf: 4, spines: 2, hosts: '100 Gb/s', uplinks: '200 Gb/s' });

scenario('an incast does not pause the fabric', { tag: ['@congestion', '@pfc'] }, plan({
  why: 'PFC pauses whole ports, so one hot receiver can stop jobs that never talk to it. ECN must act before PFC does.',
  derivation: `ECN marks from 400 KB at 100 Gb/s (HPCC artefact, run.py) and PFC pauses from 512 KB per ingress port: congestion control
    has to hold the queue below once it has heard of it; what remains is the first round trip at line rate. 5 % of the phase: own limit,
    the BMWG draft asks for pause counts and durations and names no value. Without marks the ports are paused four fifths of the time.`,
  catches: { defect: 'ecn-off', by: 'pfcPause' },

  topology: pod,
  load: incast({ bytes: '8 MiB', senders: 7 }),

  phases: {
    burst: { for: '5 rounds' },
  },

  expect: [
    pfcPause.during('burst').atMost('5 %'),
    loss.during('burst').atMost('0 packets'),
  ],
}));
