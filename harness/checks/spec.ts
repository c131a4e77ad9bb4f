import type { SpecRef } from '../model/check.ts';

/** A limit by name, found in the profile of the run: `busbw.during('steady').atLeast(spec('steady.busbw'))`. */
export const spec = (name: string): SpecRef => ({ spec: name });
