import { busbw, loss, permutation, plan, scenario } from '#harness';
import { oneSite } from '../topologies/one-site.ts';

const pod = { leaves: 2, hostsPerLeaf: 8, spines: 8, hosts: '100 Gb/s', uplinks: '100 Gb/s' } as const;

const adaptive = oneSite({
  ...pod,
  settings: {
    switching: { loadBalancing: 'adaptive' },
    transport: { control: 'dcqcn', recovery: 'selective-repeat' },
  },
});

scenario('adaptive routing gives a permutation all uplinks', { tag: ['@throughput', '@ecmp'] }, plan({
  why: 'A fabric with just enough uplinks is only worth its price if every one is used. Hashed flows meet on some and leave others idle.',
  derivation: `Eight hosts of a leaf send through eight uplinks of the same rate. Hashed, no two share one with a chance of 8!/8^8 = 0.24 %; else the slowest
    has half of its rate or less. By the least loaded port, packet by packet, all uplinks carry an eighth: the roofline is the NIC's, 98.04 % of
    100 Gb/s. 90 %: own limit, for queues of the last packets. Packets of a flow overtake each other, so the NIC repeats selectively
    and takes no reordering for loss.`,
  catches: { defect: 'balancing-off', by: 'busbw' },

  topology: adaptive,
  load: permutation({ bytes: '8 MiB', shift: 8 }),

  phases: { steady: { for: '4 rounds' } },

  expect: [
    busbw.during('steady').atLeast('90 % of roofline'),
    loss.during('steady').atMost('0 packets'),
  ],
}));

const spreading = oneSite({
  ...pod,
  settings: { transport: { control: 'nscc', recovery: 'selective-repeat', spreading: 'bitmap' } },
});

scenario('senders that spread their packets beat the hash', { tag: ['@throughput', '@ecmp', '@uec'] }, plan({
  why: 'Ultra Ethernet leaves switches as they are and lets the NIC give every packet another entropy, and avoid those that came back marked.',
  derivation: `As above, hashed flows get half of the line or less, but for a chance of 0.24 %. Hashed packets fill all uplinks evenly on average, so all
    work at full load, where random arrivals build queues and congestion control yields to them: 65 % of roofline, own limit between the two.`,
  catches: { defect: 'spreading-off', by: 'busbw' },

  topology: spreading,
  load: permutation({ bytes: '8 MiB', shift: 8 }),

  phases: { steady: { for: '4 rounds' } },

  expect: [
    busbw.during('steady').atLeast('65 % of roofline'),
    loss.during('steady').atMost('0 packets'),
  ],
}));
