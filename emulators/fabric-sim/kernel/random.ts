import { mix } from './mix.ts';

/**
 * Seeded random numbers: xoshiro128** 1.1 (David Blackman and Sebastiano Vigna, 2018, public domain), period 2^128 - 1.
 * Its state is filled by MurmurHash3's finalizer over a Weyl sequence (as SplitMix does), so seeds 0, 1, 2 … give
 * unrelated streams; `stream` separates the users of one seed.
 *
 * @see https://prng.di.unimi.it/xoshiro128starstar.c
 */
export class Random {
  private a: number;
  private b: number;
  private c: number;
  private d: number;

  constructor(seed: number, stream = 0) {
    // Both halves of the seed count: a seed may be any integer up to 2^53.
    let weyl = mix((seed >>> 0) ^ mix(Math.floor(seed / 2 ** 32) + 0x51ed270b)) ^ mix(stream + 0x2545f491);
    const next = () => {
      weyl = (weyl + 0x9e3779b9) | 0;
      return mix(weyl);
    };
    this.a = next();
    this.b = next();
    this.c = next();
    this.d = next() | 1; // never the all-zero state, from which the generator would not leave
  }

  /** Uniform integer in 0 .. 2^32 - 1. */
  word(): number {
    const scrambled = Math.imul(this.b, 5);
    const result = Math.imul((scrambled << 7) | (scrambled >>> 25), 9) >>> 0;
    const t = this.b << 9;
    this.c ^= this.a;
    this.d ^= this.b;
    this.b ^= this.c;
    this.a ^= this.d;
    this.c ^= t;
    this.d = (this.d << 11) | (this.d >>> 21);
    return result;
  }

  /** Uniform in (0, 1): the middle of one of 2^32 cells, so its logarithm is finite. */
  fraction(): number {
    return (this.word() + 0.5) / 4294967296;
  }

  /** Successes before the first failure, where each trial fails with probability `share`: Infinity when it is 0. */
  runLength(share: number): number {
    if (share <= 0) return Number.POSITIVE_INFINITY;
    if (share >= 1) return 0;
    return Math.floor(Math.log(this.fraction()) / Math.log1p(-share));
  }
}
