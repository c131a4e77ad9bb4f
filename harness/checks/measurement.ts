import type { Measurement } from '../model/record.ts';
import type { Kpi } from './kpi.ts';
import type { PhaseView, RunView } from './run-view.ts';

type Reading = Pick<Measurement, 'samples' | 'expected' | 'missing' | 'exceeds' | 'atMost'> & {
  readonly uncertainty?: number | undefined;
};

/** The measurement that every KPI hands back: nothing when the phase was not played, else what `read` finds. */
export function measurement(
  { name, dimension, method }: Pick<Kpi, 'name' | 'dimension'> & { readonly method: string },
  { view, phase }: { readonly view: RunView; readonly phase: string },
  read: (seen: PhaseView) => Reading,
): Measurement {
  const seen = view.phase(phase);
  const { uncertainty, ...reading } = seen ? read(seen) : { samples: [], missing: `phase ${phase} was not played` };
  return {
    kpi: name,
    dimension,
    method,
    ...reading,
    ...(uncertainty !== undefined && Number.isFinite(uncertainty) && { uncertainty }),
  };
}

/** A reading that can be believed: finite and not negative. What a device sends is not trusted. */
export const plausible = (value: number | null | undefined): value is number =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0;
