import type { Random } from '../kernel/random.ts';

/** What an acknowledgement says of the path that its packet took. */
export const PATH_GOOD = 0;
export const PATH_MARKED = 1;
export const PATH_TRIMMED = 2;
export const PATH_TIMED_OUT = 3;
export type PathSign = typeof PATH_GOOD | typeof PATH_MARKED | typeof PATH_TRIMMED | typeof PATH_TIMED_OUT;

/**
 * A flow's choice of path: a 16-bit entropy for every packet, which the switches hash (it stands for the UDP source port of RoCEv2, or
 * Ultra Ethernet's entropy value). Acknowledgements bring it back with what the path was like.
 *
 * The schemes are those of uet-htsim (`uec_mp.cpp`; https://github.com/ultraethernet/uet-htsim).
 */
export interface Spreading {
  /** Entropy of the packet that leaves now, 0 to 65535. */
  next(): number;
  heard?(entropy: number, sign: PathSign): void;
}

export type SpreadingName = 'flow' | 'oblivious' | 'bitmap' | 'reps' | 'mixed';

export interface SpreadingOptions {
  /** Entropies that are used: a power of two, 1 to 32768. */
  readonly paths: number;
  readonly random: Random;
}

/**
 * A flow's spreading; undefined for `flow`, where the flow's own entropy holds for all packets.
 *
 * @throws RangeError when the number of paths is no power of two
 */
export function createSpreading(name: SpreadingName, options: SpreadingOptions): Spreading | undefined {
  const { paths } = options;
  if (name === 'flow') return undefined;
  if (!(Number.isInteger(Math.log2(paths)) && paths <= 32768))
    throw new RangeError(`Spreading over ${paths} paths: a power of two up to 32768 is needed.`);
  if (name === 'oblivious') return new Oblivious(options);
  if (name === 'bitmap') return new Bitmap(options);
  if (name === 'reps') return new Reps(options);
  return new Mixed(options);
}

/** Rounds over all paths, each in another order: index xor a random number. The upper bits are the flow's own. */
class Round {
  readonly mask: number;
  private readonly upper: number;
  private readonly random: Random;
  private index = 0;
  private flip: number;

  constructor({ paths, random }: SpreadingOptions) {
    this.random = random;
    this.mask = paths - 1;
    this.upper = random.word() & 0xffff & ~this.mask;
    this.flip = random.word() & this.mask;
  }

  /** Path that is on, 0 to paths - 1. */
  get path(): number {
    return (this.index ^ this.flip) & this.mask;
  }

  get entropy(): number {
    return this.upper | this.path;
  }

  step(): void {
    this.index++;
    if (this.index <= this.mask) return;
    this.index = 0;
    this.flip = this.random.word() & this.mask;
  }
}

/** Every path in turn, whatever it is like. */
class Oblivious implements Spreading {
  private readonly round: Round;

  constructor(options: SpreadingOptions) {
    this.round = new Round(options);
  }

  next(): number {
    const { entropy } = this.round;
    this.round.step();
    return entropy;
  }
}

const MOST_PENALTY = 15;
/** By sign. */
const PENALTIES = [0, 1, 4, MOST_PENALTY] as const;

/**
 * Every path in turn, but a path with a penalty is skipped: CE adds 1, a trimmed packet 4, a time-out 15, at most 15. Of the paths that one
 * packet skips, the first loses 1.
 */
class Bitmap implements Spreading {
  private readonly round: Round;
  private readonly penalties: Uint8Array;

  constructor(options: SpreadingOptions) {
    this.round = new Round(options);
    this.penalties = new Uint8Array(options.paths);
  }

  next(): number {
    const { round, penalties } = this;
    for (let skipped = 0; (penalties[round.path] as number) > 0 && skipped <= round.mask + 1; skipped++) {
      if (skipped === 0) penalties[round.path] = (penalties[round.path] as number) - 1;
      round.step();
    }
    const { entropy } = round;
    round.step();
    return entropy;
  }

  heard(entropy: number, sign: PathSign): void {
    const path = entropy & this.round.mask;
    this.penalties[path] = Math.min(MOST_PENALTY, (this.penalties[path] as number) + PENALTIES[sign]);
  }
}

/**
 * Recycled entropies (Bonato et al., "REPS", 2024): the last eight paths that were good and have not been used since, the oldest first;
 * any path when there is none. Freezing, which REPS turns on after time-outs, is left out.
 */
class Reps implements Spreading {
  private readonly random: Random;
  private readonly mask: number;
  private readonly good = new Uint16Array(8);
  private head = 0;
  private fresh = 0;

  constructor({ paths, random }: SpreadingOptions) {
    this.random = random;
    this.mask = paths - 1;
  }

  next(): number {
    if (this.fresh === 0) return this.random.word() & this.mask;
    return this.good[(this.head - this.fresh--) & 7] as number;
  }

  heard(entropy: number, sign: PathSign): void {
    if (sign !== PATH_GOOD) return;
    this.good[this.head & 7] = entropy;
    this.head++;
    if (this.fresh < 8) this.fresh++;
  }
}

/** Every good path is used once more, oldest first; when none waits, as {@link Bitmap} has it. The default of uet-htsim. */
class Mixed implements Spreading {
  private readonly bitmap: Bitmap;
  /** A ring, grown by doubling. */
  private good = new Uint16Array(64);
  private first = 0;
  private count = 0;

  constructor(options: SpreadingOptions) {
    this.bitmap = new Bitmap(options);
  }

  next(): number {
    if (this.count === 0) return this.bitmap.next();
    this.count--;
    return this.good[this.first++ & (this.good.length - 1)] as number;
  }

  heard(entropy: number, sign: PathSign): void {
    this.bitmap.heard(entropy, sign);
    if (sign !== PATH_GOOD) return;
    const { length } = this.good;
    if (this.count === length) {
      const grown = new Uint16Array(length * 2);
      for (let i = 0; i < length; i++) grown[i] = this.good[(this.first + i) & (length - 1)] as number;
      this.good = grown;
      this.first = 0;
    }
    this.good[(this.first + this.count++) & (this.good.length - 1)] = entropy;
  }
}
