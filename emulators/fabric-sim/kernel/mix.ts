/**
 * The 32-bit finalizer of MurmurHash3 (Austin Appleby, public domain): every input bit changes every output bit with
 * probability close to 1/2.
 *
 * @see https://github.com/aappleby/smhasher, src/MurmurHash3.cpp, fmix32
 */
export function mix(word: number): number {
  let h = word | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) | 0;
}
