import { allReduce, plan, scenario } from '#harness';
import { twoEnds } from '../two-ends.ts';

scenario(
  'its phases would be reordered',
  plan({
    why: 'JavaScript plays integer-like keys first.',
    topology: twoEnds,
    load: allReduce({ bytes: '1 MiB' }),
    phases: { warm: { for: '1 round' }, 1: { for: '1 round' } },
    expect: [],
  }),
);
