import { allReduce, busbw, plan, scenario } from '#harness';
import { twoEnds } from '../cli-scenarios/two-ends.ts';
import { HOSTILE } from '../hostile-text.ts';

const load = allReduce({ bytes: '1 MiB' });

scenario(
  `it is called ${HOSTILE}`,
  { tag: '@hostile' },
  plan({
    why: `Somebody wrote ${HOSTILE}.`,
    topology: twoEnds,
    load,
    phases: { steady: { for: '3 rounds' } },
    expect: [busbw.during('steady').atLeast('1 Mb/s'), busbw.during('steady').atLeast('900 Gb/s')],
  }),
);
