import { type Dimension, LADDERS } from '../harness/model/units.ts';
import type { ProbeLine, RecordLine } from '../harness/model/record.ts';
import type { RunVerdict } from '../harness/model/verdict.ts';
import type { Topology } from '../harness/model/topology.ts';
import { decides } from './outcome-words.ts';
import { downsample } from './downsample.ts';
import type { Cell, Columns } from './downsample.ts';
import { shortFault } from './fault-words.ts';
import { groupBy } from './group-by.ts';
import { portWindows } from './port-rates.ts';
import type { PortWindow } from './port-rates.ts';
import { sanitize } from './sanitize.ts';
import { timelineOf, timeUnit } from './timeline.ts';

/** One time plot, as the page's script draws it. All text is sanitized; times in the page's unit, values in `unit`. */
interface Plot {
  readonly id: string;
  readonly title: string;
  readonly unit: string;
  /** What is left out and how values were made. */
  readonly note: string;
  readonly x: readonly number[];
  readonly series: readonly { readonly name: string; readonly values: readonly Cell[] }[];
  /** Limits that are judged on these values, each over its phase. */
  readonly limits: readonly {
    readonly begin: number;
    readonly end: number;
    readonly value: number;
    readonly label: string;
  }[];
}

/** The whole data block of a page. */
export interface PlotData {
  readonly timeUnit: string;
  readonly end: number;
  readonly phases: readonly { readonly name: string; readonly begin: number; readonly end: number }[];
  readonly faults: readonly { readonly name: string; readonly begin: number; readonly end: number }[];
  readonly plots: readonly Plot[];
}

/** Points of one series by time in ns. A later point at the same time replaces the earlier one. */
interface Series {
  readonly name: string;
  readonly points: readonly (readonly [number, number | null])[];
}

/** So many lines can be told apart; more become least, median and most. */
const MOST_LINES = 8;

const round = (value: number): number => Number(value.toPrecision(5));

/**
 * Puts series onto one time axis. A series without a reading at a time has `''` there, which draws as nothing and breaks no
 * line; after a failed reading it has `null` until it has a value again, so a gap is as long as what is missing.
 */
function align(series: readonly Series[]): Columns {
  const maps = series.map(({ points }) => new Map(points));
  const x = [...new Set(maps.flatMap(map => [...map.keys()]))].sort((a, b) => a - b);
  const column = (map: ReadonlyMap<number, number | null>): readonly Cell[] => {
    let absent: Cell = '';
    return x.map(at => {
      const value = map.get(at);
      if (value === undefined) return absent;
      absent = value === null ? null : '';
      return value;
    });
  };
  return { x, series: series.map(({ name }, i) => ({ name, values: column(maps[i] ?? new Map()) })) };
}

/** Least, median and most of many series; each holds its last reading until the next. */
function envelope({ x, series }: Columns): Columns {
  const held: (number | null)[] = series.map(() => null);
  const rows = x.map((_, at) => {
    series.forEach(({ values }, i) => {
      const value = values[at];
      if (value !== '' && value !== undefined) held[i] = value;
    });
    const known = held.filter(value => value !== null).sort((a, b) => a - b);
    return known.length === 0
      ? [null, null, null]
      : [known[0], known[Math.floor((known.length - 1) / 2)], known.at(-1)];
  });
  const column = (i: number) => rows.map(row => row[i] ?? null);
  return {
    x,
    series: [
      { name: `most of ${series.length}`, values: column(2) },
      { name: 'median', values: column(1) },
      { name: `least of ${series.length}`, values: column(0) },
    ],
  };
}

/** A value that holds from begin to end: a flat piece, and a gap after it unless the next begins there. */
const pieces = (
  parts: readonly { readonly beginNs: number; readonly endNs: number; readonly value: number | null }[],
): Series['points'] =>
  parts.flatMap(({ beginNs, endNs, value }) => [
    [beginNs, value],
    [Math.max(beginNs, endNs - 1), value],
    [endNs, null],
  ]);

const peakOf = ({ points }: Series): number => points.reduce((most, [, value]) => Math.max(most, value ?? 0), 0);

interface Draft {
  readonly id: string;
  readonly title: string;
  readonly dimension: Dimension;
  readonly note: string;
  readonly series: readonly Series[];
  /** KPIs whose limits stand in this plot. */
  readonly kpis?: readonly string[];
  /** With too many series: draw the ones with the highest peaks, not an envelope. */
  readonly keepPeaks?: boolean;
}

function windowSeries(
  windows: ReadonlyMap<string, readonly PortWindow[]>,
  names: readonly { readonly key: string; readonly name: string }[],
  valueOf: (window: PortWindow) => number | null | undefined,
): readonly Series[] {
  return names
    .map(({ key, name }) => ({
      name,
      points: pieces(
        (windows.get(key) ?? []).flatMap(window => {
          const value = valueOf(window);
          return value === undefined ? [] : [{ beginNs: window.beginNs, endNs: window.endNs, value }];
        }),
      ),
    }))
    .filter(({ points }) => points.some(([, value]) => value !== null));
}

const endpoint = ({ node, port }: { readonly node: string; readonly port: string }) => `${node}:${port}`;

function drafts(lines: readonly RecordLine[], topology: Topology | undefined): readonly Draft[] {
  const rounds = lines.filter(line => line.kind === 'round');
  const flows = groupBy(
    lines.filter(line => line.kind === 'flow'),
    ({ flow }) => flow,
  );
  const roundFlows = rounds.reduce((most, { flowsBps }) => Math.max(most, flowsBps?.length ?? 0), 0);
  const probes = groupBy(
    lines.filter(line => line.kind === 'probe'),
    ({ span, direction }: ProbeLine) => `${span} ${direction}`,
  );
  const windows = portWindows(lines);
  const ports = [...windows.keys()].map(key => ({ key, name: key }));
  const spans = Object.values(topology?.spans ?? {});
  const spanEnds = spans.flatMap(({ name, ends }) =>
    ends.map(end => ({ key: endpoint(end), name: `${name}, sent by ${end.node}` })),
  );
  const hosts = new Set(topology?.hosts.map(({ name }) => name));
  const onSpan = new Set(spanEnds.map(({ key }) => key));
  const nodeOf = (key: string) => key.slice(0, key.indexOf(':'));
  const hostPorts = ports.filter(({ key }) => hosts.has(nodeOf(key)));
  const inner = ports.filter(({ key }) => !hosts.has(nodeOf(key)) && !onSpan.has(key));
  const busy = (series: readonly Series[]) => series.filter(one => peakOf(one) > 0);
  const silent = (name: string, all: readonly Series[]) => {
    const quiet = all.length - busy(all).length;
    return quiet === 0 ? '' : ` ${quiet} of ${all.length} ports never had any ${name}.`;
  };
  const paused = windowSeries(windows, ports, window => window.paused);
  const marked = windowSeries(windows, ports, window => window.marked);
  const peaks = windowSeries(windows, ports, window => window.queuePeakBytes);

  return [
    {
      id: 'busbw',
      title: 'Bus bandwidth, round by round',
      dimension: 'rate',
      note: 'Each piece is one round of the load, from first rank in to last rank out.',
      kpis: ['busbw'],
      series: [
        {
          name: 'busbw',
          points: pieces(rounds.map(({ beginNs, endNs, busbwBps }) => ({ beginNs, endNs, value: busbwBps }))),
        },
      ],
    },
    {
      id: 'flows',
      title: 'Goodput of each flow',
      dimension: 'rate',
      note: flows.size > 0 ? 'Mean over the window that ends at each point.' : 'Mean of each flow over each round.',
      kpis: ['fairness', 'goodput'],
      series:
        flows.size > 0
          ? [...flows].map(([name, list]) => ({
              name,
              points: list.map(({ atNs, rateBps }) => [atNs, rateBps] as const),
            }))
          : Array.from({ length: roundFlows }, (_, i) => ({
              name: `flow ${i + 1}`,
              points: pieces(
                rounds.map(({ beginNs, endNs, flowsBps }) => ({ beginNs, endNs, value: flowsBps?.[i] ?? null })),
              ),
            })),
    },
    {
      id: 'spans',
      title: 'Span throughput, by direction',
      dimension: 'rate',
      note: 'From the octet counters of the port that sends into the span.',
      series: windowSeries(windows, spanEnds, window => window.txBps),
    },
    {
      id: 'links',
      title: 'Throughput of switch ports inside the sites',
      dimension: 'rate',
      note: 'Sent octets of each switch port that is not on a span.',
      series: windowSeries(windows, inner, window => window.txBps),
    },
    {
      id: 'hosts',
      title: 'Throughput of the hosts',
      dimension: 'rate',
      note: 'Sent octets of each NIC.',
      series: windowSeries(windows, hostPorts, window => window.txBps),
    },
    {
      id: 'probes',
      title: 'Probe loss, phase by phase',
      dimension: 'share',
      note: 'Share of the constant-rate UDP probes that did not arrive, per span and direction.',
      kpis: ['probeLoss'],
      series: [...probes].map(([name, list]) => ({
        name,
        points: pieces(
          list.map(({ beginNs, endNs, sent, received }) => ({
            beginNs,
            endNs,
            value: sent > 0 ? (sent - received) / sent : null,
          })),
        ),
      })),
    },
    {
      id: 'pause',
      title: 'PFC pause',
      dimension: 'share',
      note: `Share of the time that the far end paused the lossless priority.${silent('pause', paused)}`,
      kpis: ['pfcPause'],
      keepPeaks: true,
      series: busy(paused).length > 0 ? busy(paused) : paused.slice(0, 1),
    },
    {
      id: 'ecn',
      title: 'ECN marks',
      dimension: 'share',
      note: `Share of the packets that left the lossless queue with a CE mark.${silent('marks', marked)}`,
      kpis: ['ecnMarks'],
      keepPeaks: true,
      series: busy(marked).length > 0 ? busy(marked) : marked.slice(0, 1),
    },
    {
      id: 'queue',
      title: 'Queue peak',
      dimension: 'size',
      note: `Peak of the lossless queue since the reading before.${silent('queue', peaks)}`,
      kpis: ['queuePeak'],
      keepPeaks: true,
      series: busy(peaks).length > 0 ? busy(peaks) : peaks.slice(0, 1),
    },
  ];
}

/** Plots of a run's `series.ndjson`; lines that are not as the simulator writes them are left out. */
function seriesDrafts(lines: readonly unknown[]): readonly Draft[] {
  const [head, ...columns] = lines as readonly (Readonly<Record<string, unknown>> | null)[];
  const { beginNs, intervalNs } = head ?? {};
  if (typeof beginNs !== 'number' || typeof intervalNs !== 'number') return [];
  const of = (kind: string, quantity: string): readonly Series[] =>
    columns.flatMap(column => {
      if (column?.['of'] !== kind || column['quantity'] !== quantity || !Array.isArray(column['values'])) return [];
      const values: readonly unknown[] = column['values'];
      const points = values.map(
        (value, i) => [beginNs + (i + 1) * intervalNs, typeof value === 'number' ? value : null] as const,
      );
      return [{ name: String(column['name']), points }];
    });
  const every = `every ${Number((intervalNs / 1e3).toPrecision(6))} us`;
  return [
    {
      id: 'series-rate',
      title: 'Goodput of flows, from the series',
      dimension: 'rate',
      note: `Mean over the slot, ${every}.`,
      keepPeaks: true,
      series: of('flow', 'rate'),
    },
    {
      id: 'series-queue',
      title: 'Queue peak, from the series',
      dimension: 'size',
      note: `Peak of the queue within the slot, ${every}.`,
      keepPeaks: true,
      series: of('queue', 'peak'),
    },
  ];
}

/** Everything that the page plots, from the record and, where there is one, the series. A plot without data is left out. */
export function plotData(lines: readonly RecordLine[], verdict: RunVerdict, series: readonly unknown[] = []): PlotData {
  const { run, endNs, phases, faults } = timelineOf(lines);
  const { unit: timeName, ns } = timeUnit(endNs);
  const time = (at: number) => Number((at / ns).toPrecision(9));
  const phaseNamed = new Map(phases.map(phase => [phase.name, phase]));

  const finish = ({ id, title, dimension, note, series, kpis = [], keepPeaks = false }: Draft): readonly Plot[] => {
    const present = series.filter(({ points }) => points.length > 0);
    if (present.length === 0) return [];
    const many = present.length > MOST_LINES;
    const drawn = many && keepPeaks ? present.toSorted((a, b) => peakOf(b) - peakOf(a)).slice(0, MOST_LINES) : present;
    const aligned = align(drawn);
    const columns = downsample(many && !keepPeaks ? envelope(aligned) : aligned);
    const limits = verdict.checks
      .filter(
        check =>
          kpis.includes(check.kpi) && check.dimension === dimension && decides(check) && check.limit !== undefined,
      )
      .flatMap(check => {
        const phase = phaseNamed.get(check.phase);
        return phase ? [{ phase, value: check.limit as number }] : [];
      });
    const most = Math.max(
      drawn.reduce((peak, one) => Math.max(peak, peakOf(one)), 0),
      ...limits.map(({ value }) => value),
    );
    const ladder = LADDERS[dimension];
    const [scale, unit] = ladder.find(([size]) => most >= size) ?? (ladder.at(-1) as readonly [number, string]);
    const thinned =
      columns.x.length < aligned.x.length
        ? ` Drawn with ${columns.x.length} of ${aligned.x.length} points; least and greatest are kept.`
        : '';
    const left = many
      ? keepPeaks
        ? ` The ${MOST_LINES} highest of ${present.length}.`
        : ` ${present.length} series: least, median and most of them.`
      : '';
    return [
      {
        id,
        title,
        unit,
        note: sanitize(`${note}${left}${thinned}`),
        x: columns.x.map(time),
        series: columns.series.map(({ name, values }) => ({
          name: sanitize(name, { most: 80 }),
          values: values.map(value => (typeof value === 'number' ? round(value / scale) : value)),
        })),
        limits: limits.map(({ phase, value }) => ({
          begin: time(phase.beginNs),
          end: time(phase.endNs),
          value: round(value / scale),
          label: 'limit',
        })),
      },
    ];
  };

  return {
    timeUnit: timeName,
    end: time(Math.max(endNs, 1)),
    phases: phases.map(({ name, beginNs, endNs: to }) => ({
      name: sanitize(name, { most: 60 }),
      begin: time(beginNs),
      end: time(to),
    })),
    faults: faults.map(({ injected, beginNs, endNs: to }) => ({
      name: sanitize(shortFault(injected.fault), { most: 60 }),
      begin: time(beginNs),
      end: time(to),
    })),
    plots: [...drafts(lines, run?.plan.topology), ...seriesDrafts(series)].flatMap(finish),
  };
}
