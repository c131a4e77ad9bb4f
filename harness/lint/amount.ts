import { type Dimension, LADDERS } from '../model/units.ts';

/** A number with its unit and as people read it: `{ value: 13036000, unit: 'ns', text: '13.04 ms' }`. Words have no unit. */
export interface Amount {
  readonly value: number | string;
  /** `ns`, `bit/s`, `byte`, `metre`, a thing that is counted, or empty for a share of 1 and for words. */
  readonly unit: string;
  readonly text: string;
}

const short = (value: number): string => String(Number(value.toPrecision(4)));

function onLadder(value: number, dimension: Dimension): string {
  const ladder = LADDERS[dimension];
  const [scale, unit] =
    ladder.find(([size]) => Math.abs(value) >= size) ?? (ladder.at(-1) as readonly [number, string]);
  return `${short(value / scale)} ${unit}`;
}

export const duration = (ns: number): Amount => ({ value: ns, unit: 'ns', text: onLadder(ns, 'duration') });

export const bitRate = (bps: number): Amount => ({ value: bps, unit: 'bit/s', text: onLadder(bps, 'rate') });

const SIZES: readonly (readonly [number, string])[] = [
  [1e9, 'GB'],
  [1e6, 'MB'],
  [1e3, 'KB'],
];

/** Decimal prefixes: buffers, BDP and headroom are published so. Frames of a few thousand bytes are known by their digits. */
export function bytes(count: number): Amount {
  const [scale, unit] = (count >= 1e4 ? SIZES.find(([size]) => count >= size) : undefined) ?? [1, 'B'];
  return { value: count, unit: 'byte', text: `${short(count / scale)} ${unit}` };
}

export const distance = (metres: number): Amount => ({
  value: metres,
  unit: 'metre',
  text: metres >= 1000 ? `${short(metres / 1000)} km` : `${short(metres)} m`,
});

export const share = (fraction: number): Amount => ({
  value: fraction,
  unit: '',
  text:
    fraction !== 0 && fraction < 1e-4 ? Number(fraction.toPrecision(2)).toExponential() : `${short(100 * fraction)} %`,
});

/** So many of a thing: `counted(156, 'channels')`. */
export const counted = (count: number, things: string): Amount => ({
  value: count,
  unit: things,
  text: `${Number.isInteger(count) ? count : short(count)} ${things}`,
});

export const words = (text: string): Amount => ({ value: text, unit: '', text });
