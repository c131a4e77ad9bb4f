import { DEFAULT_FABRIC } from '../../../../harness/model/fabric-settings.ts';
import type { Fault } from '../../../../harness/model/fault.ts';
import { cable, type Span, type Topology } from '../../../../harness/model/topology.ts';

const north: Span = {
  kind: 'span',
  name: 'north',
  ends: [
    { node: 'xl', port: 'span' },
    { node: 'yl', port: 'span' },
  ],
  rate: '100 Gb/s',
  length: '10 km',
};

/** Two sites of one leaf and one host, joined by one span: the least in which every fault has its device. */
export const PAIR: Topology<'north'> = {
  name: 'pair',
  sites: ['x', 'y'],
  hosts: [
    { kind: 'host', name: 'x1', site: 'x' },
    { kind: 'host', name: 'y1', site: 'y' },
  ],
  switches: [
    { kind: 'switch', name: 'xl', site: 'x', role: 'leaf' },
    { kind: 'switch', name: 'yl', site: 'y', role: 'leaf' },
  ],
  links: [
    cable({ node: 'x1', port: 'eth0' }, { node: 'xl', port: 'host1' }, '100 Gb/s', '20 m'),
    cable({ node: 'y1', port: 'eth0' }, { node: 'yl', port: 'host1' }, '100 Gb/s', '20 m'),
  ],
  spans: { north },
  settings: DEFAULT_FABRIC,
};

const [first, second] = PAIR.links;

/** Every kind of fault that stays until it is undone; a reboot ends by itself. */
export const LASTING: readonly Fault[] = [
  { kind: 'span-cut', span: north, direction: 'both', light: 'lost' },
  { kind: 'span-cut', span: north, direction: 'a-to-b', light: 'kept' },
  { kind: 'span-degrade', span: north, direction: 'both', amount: { loss: '1 %' } },
  { kind: 'span-flap', span: north, every: '10 ms', down: '2 ms', light: 'lost' },
  ...[first, second].flatMap(link => (link ? [{ kind: 'link-down' as const, link }] : [])),
];
