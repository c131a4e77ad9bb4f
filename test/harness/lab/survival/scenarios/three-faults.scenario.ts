import { allReduce, busbw, degrade, linkDown, plan, scenario } from '#harness';
import { PAIR } from '../pair.ts';

const [x, y] = PAIR.links;
if (!x || !y) throw new Error('the pair has two links');

scenario(
  'three faults at once',
  plan({
    why: 'To be interrupted while all three are in effect, and again while they are undone.',
    topology: PAIR,
    load: allReduce({ bytes: '64 KiB' }),
    phases: {
      steady: { for: '1 ms' },
      broken: { for: '60 s', faults: [degrade(PAIR.spans.north, { loss: '1 %' }), linkDown(x), linkDown(y)] },
    },
    expect: [busbw.during('steady').atLeast('1 b/s')],
  }),
);
