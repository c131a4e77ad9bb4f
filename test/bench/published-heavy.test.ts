import t from 'tap';
import { heavyComparisons } from '../../bench/published/comparisons.ts';
import { compare } from './compare.ts';

// Beside published.test.ts, so that two jobs share the load. Those of bench/published/comparisons.ts that only the page has are not run.
t.setTimeout(600_000);

for (const comparison of heavyComparisons) compare(comparison);
