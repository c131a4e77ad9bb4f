import type { Fault } from '../harness/model/fault.ts';
import type { Load } from '../harness/model/load.ts';

const WAY = {
  both: 'both ways',
  'a-to-b': 'from its first to its second end',
  'b-to-a': 'from its second to its first end',
} as const;
const LIGHT = { lost: 'light lost', kept: 'light kept (silent)' } as const;

/** What the fault is done to, by the topology's name. */
function targetOf(fault: Fault): string {
  switch (fault.kind) {
    case 'span-cut':
    case 'span-flap':
    case 'span-degrade':
    case 'protection-switch':
      return fault.span.name;
    case 'link-down':
      return fault.link.name;
    case 'switch-reboot':
      return fault.switch.name;
  }
}

const VERBS: Readonly<Record<Fault['kind'], string>> = {
  'span-cut': 'cut',
  'span-flap': 'flap',
  'span-degrade': 'degrade',
  'protection-switch': 'detour',
  'link-down': 'down',
  'switch-reboot': 'reboot',
};

/** `cut north`: short enough to stand in a plot. */
export function shortFault(fault: Fault): string {
  const verb = VERBS[fault.kind];
  return `${verb} ${targetOf(fault)}`;
}

/** The fault in one clause with all that was asked for. */
export function longFault(fault: Fault): string {
  switch (fault.kind) {
    case 'span-cut':
      return `span ${fault.span.name} cut, ${WAY[fault.direction]}, ${LIGHT[fault.light]}`;
    case 'span-flap':
      return `span ${fault.span.name} flapping: down ${fault.down} every ${fault.every}, ${LIGHT[fault.light]}`;
    case 'span-degrade': {
      const { amount } = fault;
      const words = 'loss' in amount ? `losing ${amount.loss} of packets` : `with bit errors of ${amount.ber}`;
      return `span ${fault.span.name} ${words}, ${WAY[fault.direction]}`;
    }
    case 'protection-switch':
      return `span ${fault.span.name} switched to protection, longer by ${fault.detour}, after ${fault.outage} of outage`;
    case 'link-down':
      return `link ${fault.link.name} down`;
    case 'switch-reboot':
      return `switch ${fault.switch.name} rebooting, takes ${fault.takes}`;
  }
}

/** The offered load in one clause. */
export function loadText(load: Load): string {
  switch (load.kind) {
    case 'all-reduce':
      return `${load.algorithm} all-reduce of ${load.bytes} a rank`;
    case 'reduce-scatter':
    case 'all-gather':
    case 'broadcast':
      return `${load.kind} of ${load.bytes}`;
    case 'expert-all-to-all':
      return `all-to-all of ${load.bytes} a rank, to experts with skew ${load.skew}`;
    case 'pipeline':
      return `pipeline of ${load.stages} stages, ${load.microbatches} microbatches of ${load.bytes}`;
    case 'training-iteration':
      return `training: ${load.compute} of compute, ${load.algorithm} all-reduce of ${load.bytes} in ${load.buckets} buckets`;
    case 'storage':
      return `storage traffic, ${load.rate} a host`;
    case 'all-to-all':
      return `all-to-all of ${load.bytes} a rank`;
    case 'incast':
      return `incast, ${load.senders} senders of ${load.bytes}`;
    case 'permutation':
      return `permutation, ${load.bytes} to the host ${load.shift} further`;
    case 'flow-doubling':
      return `${load.flows} endless flows, as many more after ${load.join}`;
  }
}
