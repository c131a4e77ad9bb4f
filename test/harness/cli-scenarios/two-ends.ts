import type { Span, Topology } from '#harness';
import { cable, DEFAULT_FABRIC } from '#harness';

const span = (name: string, index: number): Span => ({
  kind: 'span',
  name,
  ends: [
    { node: 'a-leaf', port: `span${index}` },
    { node: 'b-leaf', port: `span${index}` },
  ],
  rate: '100 Gb/s',
  length: '80 km',
});

/** One host and one leaf at each end of two spans. */
export const twoEnds: Topology<'north' | 'south'> = {
  name: 'two-ends',
  sites: ['a', 'b'],
  hosts: ['a', 'b'].map(site => ({ kind: 'host', name: `${site}-host`, site })),
  switches: ['a', 'b'].map(site => ({ kind: 'switch', name: `${site}-leaf`, site, role: 'leaf' })),
  links: ['a', 'b'].map(site =>
    cable({ node: `${site}-host`, port: 'eth0' }, { node: `${site}-leaf`, port: 'host1' }, '100 Gb/s', '20 m'),
  ),
  spans: { north: span('north', 1), south: span('south', 2) },
  settings: DEFAULT_FABRIC,
};
