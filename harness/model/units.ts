/** Quantities as a reader writes them. The unit is part of the type, so `'20'` or `'20 sec'` does not compile. */
export type Duration = `${number} ${'ns' | 'us' | 'ms' | 's' | 'min' | 'h'}`;
export type Rate = `${number} ${'b/s' | 'kb/s' | 'Mb/s' | 'Gb/s' | 'Tb/s'}`;
export type Size = `${number} ${'B' | 'KiB' | 'MiB' | 'GiB' | 'KB' | 'MB' | 'GB'}`;
export type Distance = `${number} ${'m' | 'km'}`;
export type Share = `${number} %`;
export type Count = `${number} ${'packets'}`;
export type Power = `${number} ${'W' | 'kW' | 'MW'}`;
export type PowerRamp = `${number} ${'W/s' | 'kW/s' | 'MW/s'}`;
export type Rounds = `${number} ${'round' | 'rounds'}`;
export type Quantity = Duration | Rate | Size | Distance | Share | Count | Power | PowerRamp;

/** What kind of number a KPI is. Its base unit: ns, bit/s, byte, a fraction of 1, packets, W, W/s. */
export type Dimension = 'duration' | 'rate' | 'size' | 'share' | 'count' | 'power' | 'power-ramp';

const DECIMAL = /^-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

const SCALE: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  ms: 1e6,
  s: 1e9,
  min: 60e9,
  h: 3600e9,
  'b/s': 1,
  'kb/s': 1e3,
  'Mb/s': 1e6,
  'Gb/s': 1e9,
  'Tb/s': 1e12,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  m: 1,
  km: 1e3,
  '%': 0.01,
  packets: 1,
  W: 1,
  kW: 1e3,
  MW: 1e6,
  'W/s': 1,
  'kW/s': 1e3,
  'MW/s': 1e6,
  round: 1,
  rounds: 1,
};

/**
 * Magnitude in the base unit of its kind: ns, bit/s, byte, metre, fraction of 1, packets, W, W/s, rounds.
 *
 * @throws RangeError when the text is not a count and a known unit, or the count is not finite
 */
export function magnitude(quantity: Quantity | Rounds): number {
  const [count, unit, ...rest] = quantity.split(' ');
  const scale = unit === undefined || !Object.hasOwn(SCALE, unit) ? undefined : SCALE[unit];
  // Decimal only: `Number` would read '0x10' and '' too.
  const value = count !== undefined && DECIMAL.test(count) ? Number(count) : Number.NaN;
  if (scale === undefined || rest.length > 0 || !Number.isFinite(value)) {
    throw new RangeError(`"${quantity}" is not a quantity. Write a number, a space and a unit, such as "80 km".`);
  }
  return value * scale;
}

/** The units of each kind of quantity. */
export const UNITS_OF = {
  duration: ['ns', 'us', 'ms', 's', 'min', 'h'],
  rate: ['b/s', 'kb/s', 'Mb/s', 'Gb/s', 'Tb/s'],
  size: ['B', 'KiB', 'MiB', 'GiB', 'KB', 'MB', 'GB'],
  distance: ['m', 'km'],
  share: ['%'],
  count: ['packets'],
  power: ['W', 'kW', 'MW'],
  'power-ramp': ['W/s', 'kW/s', 'MW/s'],
  rounds: ['round', 'rounds'],
} as const satisfies Readonly<Record<string, readonly string[]>>;

/** Units of a dimension with their size in its base unit, greatest first. */
export const LADDERS: Readonly<Record<Dimension, readonly (readonly [number, string])[]>> = {
  duration: [
    [1e9, 's'],
    [1e6, 'ms'],
    [1e3, 'us'],
    [1, 'ns'],
  ],
  rate: [
    [1e12, 'Tb/s'],
    [1e9, 'Gb/s'],
    [1e6, 'Mb/s'],
    [1e3, 'kb/s'],
    [1, 'b/s'],
  ],
  size: [
    [2 ** 30, 'GiB'],
    [2 ** 20, 'MiB'],
    [2 ** 10, 'KiB'],
    [1, 'B'],
  ],
  share: [[0.01, '%']],
  count: [[1, 'packets']],
  power: [
    [1e6, 'MW'],
    [1e3, 'kW'],
    [1, 'W'],
  ],
  'power-ramp': [
    [1e6, 'MW/s'],
    [1e3, 'kW/s'],
    [1, 'W/s'],
  ],
};

/** A value in the base unit of its dimension, as a reader would write it: four significant digits and a unit. */
export function print(value: number, dimension: Dimension): string {
  const ladder = LADDERS[dimension];
  const [scale, unit] =
    ladder.find(([size]) => Math.abs(value) >= size) ?? (ladder.at(-1) as readonly [number, string]);
  return `${Number((value / scale).toPrecision(4))} ${unit}`;
}
