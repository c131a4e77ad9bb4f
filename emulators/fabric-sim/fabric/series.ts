import type { PortRef } from '../../../harness/model/topology.ts';
import type { Network, PortCount } from './network.ts';

/** How two neighbouring slots become one: a counter's or gauge's later value, a peak's greater, a rate's mean. */
export type SeriesMerge = 'last' | 'max' | 'mean';

/** One quantity over time. A value that the engine could not see is NaN: missing is never zero. */
export interface SeriesColumn {
  readonly of: 'flow' | 'queue' | 'port';
  /** A flow's name, `node port`, or `node port priority`. */
  readonly name: string;
  /** `delivered` B, `rate` bit/s (goodput over the slot); `bytes`, `peak` B, `drops` packets; `rxBytes`, `txBytes` B, `ecnMarked` packets, `pausedPs`. */
  readonly quantity: string;
  readonly merges: SeriesMerge;
  /** Slot i ends at `beginPs` + (i + 1) x `intervalPs`; counters and gauges are as at its end. */
  readonly values: Float64Array;
}

export interface SeriesFlow {
  readonly name: string;
  /** Bytes so far. */
  readonly delivered: number;
}

export interface SeriesOptions {
  /** First interval, whole picoseconds, 1 or more. */
  readonly intervalPs: number;
  /** Slots per column, an even number; 1024 when absent. When all are full, neighbours merge and the interval doubles. */
  readonly slots?: number;
  readonly ports?: readonly PortRef[];
  /** The data priority's queue where no priority is named. */
  readonly queues?: readonly (PortRef & { readonly priority?: number })[];
  /** Asked at the end of every interval; flows may come and go. At most 1024 names are followed. */
  readonly flows?: () => Iterable<SeriesFlow>;
}

export interface Series {
  readonly beginPs: number;
  /** Of a slot now. */
  readonly intervalPs: number;
  /** Slots that are full. */
  readonly length: number;
  /** Views on the series' own memory: copy what is to outlive the next interval. */
  readonly columns: readonly SeriesColumn[];
  /** Flows beyond the 1024 that are followed. */
  readonly flowsLeftOut: number;
  stop(): void;
}

const DEFAULT_SLOTS = 1024;
const MOST_SLOTS = 2 ** 20;
const MOST_FLOWS = 1024;

type ReadNetwork = Pick<Network, 'nowPs' | 'at' | 'count' | 'observes' | 'queueCount' | 'takeSeriesPeak'>;

interface Column extends Omit<SeriesColumn, 'values'> {
  readonly slots: Float64Array;
}

/**
 * Follows ports, queues and flows from now on, in bounded memory: 8 B x slots x columns (5 per port, 3 per queue, 2 per flow), whatever
 * time passes. Merging loses resolution and nothing else: peaks stay peaks, counters stay exact at the ends of slots.
 *
 * Reading changes nothing: queue peaks are the series' own (`takeSeriesPeak`), and a call at an instant comes before that instant's events. At
 * flow level a call per interval keeps equal rounds from being counted together for longer than that.
 *
 * @throws RangeError for an interval, a number of slots, or a port that can not be
 */
export function startSeries(network: ReadNetwork, options: SeriesOptions): Series {
  const { slots = DEFAULT_SLOTS, ports = [], queues = [], flows = () => [] } = options;
  if (!(Number.isSafeInteger(options.intervalPs) && options.intervalPs >= 1))
    throw new RangeError(`An interval of ${options.intervalPs} ps: a whole number of 1 or more is needed.`);
  if (!(Number.isInteger(slots) && slots >= 2 && slots <= MOST_SLOTS && slots % 2 === 0))
    throw new RangeError(`A series of ${slots} slots: an even number from 2 to ${MOST_SLOTS} is needed.`);
  const beginPs = network.nowPs;
  let intervalPs = options.intervalPs;
  let length = 0;
  let stopped = false;
  const columns: Column[] = [];
  const readers: (() => void)[] = [];

  const column = (of: Column['of'], name: string, quantity: string, merges: SeriesMerge): Float64Array => {
    const values = new Float64Array(slots).fill(Number.NaN);
    columns.push({ of, name, quantity, merges, slots: values });
    return values;
  };

  const sees = (what: 'queues' | 'ecn' | 'pfc') => network.observes.has(what);
  for (const { node, port } of ports) {
    network.count(node, port);
    const name = `${node} ${port}`;
    const followed = (['rxBytes', 'txBytes', 'ecnMarked', 'pausedPs', 'drops'] as const).map(
      quantity => [quantity, column('port', name, quantity, 'last')] as const,
    );
    const told: Partial<Record<keyof PortCount, 'queues' | 'ecn' | 'pfc'>> = {
      ecnMarked: 'ecn',
      pausedPs: 'pfc',
      drops: 'queues',
    };
    readers.push(() => {
      const count = network.count(node, port);
      for (const [quantity, values] of followed) {
        const by = told[quantity];
        if (by === undefined || sees(by)) values[length] = count[quantity];
      }
    });
  }
  for (const { node, port, priority } of queues) {
    network.count(node, port);
    network.takeSeriesPeak?.(node, port, priority);
    const name = `${node} ${port}${priority === undefined ? '' : ` ${priority}`}`;
    const bytes = column('queue', name, 'bytes', 'last');
    const peak = column('queue', name, 'peak', 'max');
    const drops = column('queue', name, 'drops', 'last');
    readers.push(() => {
      const count = sees('queues') ? network.queueCount?.(node, port, priority) : undefined;
      if (count === undefined) return;
      bytes[length] = count.bytes;
      drops[length] = count.drops;
      peak[length] = network.takeSeriesPeak?.(node, port, priority) ?? Number.NaN;
    });
  }

  interface Followed {
    readonly delivered: Float64Array;
    readonly rate: Float64Array;
    before: number;
  }
  const followed = new Map<string, Followed>();
  const leftOut = new Set<string>();
  const flowOf = (name: string, before: number): Followed | undefined => {
    const known = followed.get(name);
    if (known) return known;
    if (followed.size >= MOST_FLOWS) {
      if (leftOut.size < MOST_SLOTS) leftOut.add(name);
      return undefined;
    }
    const flow = {
      delivered: column('flow', name, 'delivered', 'last'),
      rate: column('flow', name, 'rate', 'mean'),
      before,
    };
    followed.set(name, flow);
    return flow;
  };
  for (const { name, delivered } of flows()) flowOf(name, delivered);
  readers.push(() => {
    for (const { name, delivered } of flows()) {
      // A flow that was not there when the interval began has begun in it.
      const flow = flowOf(name, 0);
      if (flow === undefined) continue;
      flow.delivered[length] = delivered;
      flow.rate[length] = ((delivered - flow.before) * 8e12) / intervalPs;
      flow.before = delivered;
    }
  });

  const halve = (): void => {
    for (const { slots: values, merges } of columns) {
      for (let i = 0; i < slots / 2; i++)
        values[i] = MERGED[merges](values[2 * i] as number, values[2 * i + 1] as number);
      values.fill(Number.NaN, slots / 2);
    }
    length = slots / 2;
    intervalPs *= 2;
  };

  const tick = (): void => {
    if (stopped) return;
    for (const read of readers) read();
    length += 1;
    if (length === slots) halve();
    network.at(beginPs + (length + 1) * intervalPs, tick);
  };
  network.at(beginPs + intervalPs, tick);

  return {
    beginPs,
    get intervalPs() {
      return intervalPs;
    },
    get length() {
      return length;
    },
    get columns() {
      return columns.map(({ slots: values, ...rest }) => ({ ...rest, values: values.subarray(0, length) }));
    },
    get flowsLeftOut() {
      return leftOut.size;
    },
    stop() {
      stopped = true;
    },
  };
}

/** Of an earlier and a later slot. */
const MERGED: Readonly<Record<SeriesMerge, (earlier: number, later: number) => number>> = {
  last: (_earlier, later) => later,
  max: (earlier, later) => (Number.isNaN(earlier) ? later : Number.isNaN(later) ? earlier : Math.max(earlier, later)),
  // A flow that was there for one of two slots only delivered nothing in the other.
  mean: (earlier, later) =>
    Number.isNaN(earlier) && Number.isNaN(later)
      ? Number.NaN
      : ((Number.isNaN(earlier) ? 0 : earlier) + (Number.isNaN(later) ? 0 : later)) / 2,
};
