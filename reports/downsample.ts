/** One plotted value: a number, `null` where a reading failed (a gap), `''` where this series has no reading at this time. */
export type Cell = number | null | '';

/** Columns over one shared time axis, the form that uPlot draws. */
export interface Columns {
  readonly x: readonly number[];
  readonly series: readonly { readonly name: string; readonly values: readonly Cell[] }[];
}

function extremes(values: readonly Cell[], from: number, to: number): readonly [Cell, Cell] {
  let [least, most] = [-1, -1];
  let missing = false;
  for (let i = from; i < to; i++) {
    const value = values[i];
    if (value === null) missing = true;
    if (typeof value !== 'number') continue;
    if (least < 0 || value < (values[least] as number)) least = i;
    if (most < 0 || value > (values[most] as number)) most = i;
  }
  if (least < 0) return missing ? [null, null] : ['', ''];
  const [first, second] = least < most ? [least, most] : [most, least];
  return [values[first] as number, values[second] as number];
}

/**
 * At most `points` points. Time is cut in `points / 2` equal parts; each keeps its least and its greatest value of every series, in
 * the order in which they came, so no spike and no dip is lost. A point moves in time by less than one part. A part in which
 * only failed readings fall stays a gap.
 */
export function downsample(columns: Columns, points = 2000): Columns {
  const { x, series } = columns;
  const first = x[0];
  const last = x.at(-1);
  if (x.length <= points || first === undefined || last === undefined) return columns;
  const parts = Math.max(1, Math.floor(points / 2));
  const cuts = [0];
  for (let i = 1, part = 0; i < x.length; i++) {
    const here = Math.min(parts - 1, Math.floor((((x[i] as number) - first) / (last - first)) * parts));
    if (here > part) {
      cuts.push(i);
      part = here;
    }
  }
  cuts.push(x.length);
  const ranges = cuts.slice(0, -1).map((from, i): readonly [number, number] => [from, cuts[i + 1] as number]);
  return {
    x: ranges.flatMap(([from, to]) => [x[from] as number, x[to - 1] as number]),
    series: series.map(({ name, values }) => ({
      name,
      values: ranges.flatMap(([from, to]) => extremes(values, from, to)),
    })),
  };
}
