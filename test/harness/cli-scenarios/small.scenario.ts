import { expect } from '@playwright/test';
import { allReduce, busbw, cut, jct, plan, scenario, spec } from '#harness';
import { twoEnds } from './two-ends.ts';

const load = allReduce({ bytes: '1 MiB' });
const steady = { for: '3 rounds' } as const;

scenario(
  'it meets its limits',
  { tag: '@good' },
  plan({
    why: 'A limit that any fabric meets.',
    topology: twoEnds,
    load,
    phases: { steady, northCut: { for: '3 rounds', faults: [cut(twoEnds.spans.north)] } },
    expect: [busbw.during('steady').atLeast('1 Mb/s')],
  }),
);

scenario(
  'it misses two of three (100 % & more)',
  { tag: '@bad' },
  plan({
    why: 'Limits that no fabric meets.',
    topology: twoEnds,
    load,
    phases: { steady },
    expect: [
      busbw.during('steady').atLeast('1 Mb/s'),
      busbw.during('steady').atLeast('900 Gb/s'),
      jct.during('steady').atMost('1 ns'),
    ],
  }),
);

scenario(
  'it asks a profile',
  { tag: '@profile' },
  plan({
    why: 'The limit comes from a file.',
    topology: twoEnds,
    load,
    phases: { steady },
    expect: [busbw.during('steady').atLeast(spec('test.busbw'))],
  }),
);

scenario('an ordinary body is healed and given back', { tag: '@body' }, async ({ reserve }) => {
  const testbed = await reserve(twoEnds);
  const job = await testbed.start(load);
  await testbed.inject({ kind: 'span-cut', span: twoEnds.spans.north, direction: 'both', light: 'lost' }, 'by-hand');
  await testbed.elapse({ round: 2, withinNs: 1e9 });
  expect(await job.rounds()).toBeGreaterThanOrEqual(2);
});

scenario.describe('beside', () => {
  scenario.afterEach(() => {
    expect('what a hook saw').toBe('what it wanted');
  });

  scenario(
    'it meets its limits and fails beside them',
    { tag: '@beside' },
    plan({
      why: 'Hooks and bodies may look at more than a plan says.',
      topology: twoEnds,
      load,
      phases: { steady },
      expect: [busbw.during('steady').atLeast('1 Mb/s')],
    }),
  );
});
