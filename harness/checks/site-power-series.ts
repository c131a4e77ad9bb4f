import type { PowerModel } from '../model/power.ts';
import type { RoundLine } from '../model/record.ts';
import type { Topology } from '../model/topology.ts';
import { magnitude } from '../model/units.ts';

/** Mean power of one site in consecutive windows of equal length, W. */
export interface SitePower {
  readonly site: string;
  readonly windowNs: number;
  readonly watts: readonly number[];
}

/**
 * Power of every site over [beginNs, endNs), as a sum over its ranks: a rank computes from the beginning of a round for its own compute time,
 * and then waits for the fabric until the round ends; between rounds it is idle. The last window is left out where it is not whole.
 * Communication that overlaps compute does not lower the draw.
 *
 * @param rounds with every rank's compute, in the topology's order; a round that has none counts as waiting for the fabric
 */
export function sitePowers(
  rounds: readonly RoundLine[],
  options: {
    readonly topology: Pick<Topology, 'sites' | 'hosts'>;
    readonly model: PowerModel;
    readonly beginNs: number;
    readonly endNs: number;
  },
): readonly SitePower[] {
  const { topology, model, beginNs, endNs } = options;
  const windowNs = magnitude(model.window);
  const windows = Math.floor((endNs - beginNs) / windowNs + 1e-9);
  const [idle, compute, communication] = [model.idle, model.compute, model.communication].map(power =>
    magnitude(power),
  ) as [number, number, number];
  return topology.sites.map(site => {
    const ranks = topology.hosts.flatMap((host, rank) => (host.site === site ? [rank] : []));
    const watts = Array.from({ length: windows }, () => ranks.length * idle);
    /** Adds `more` watts over a stretch of time, each window by its share. */
    const add = (fromNs: number, toNs: number, more: number): void => {
      const [from, to] = [Math.max(fromNs, beginNs) - beginNs, Math.min(toNs, endNs) - beginNs];
      for (let i = Math.floor(from / windowNs); i < windows && i * windowNs < to; i++) {
        const shareNs = Math.min(to, (i + 1) * windowNs) - Math.max(from, i * windowNs);
        if (shareNs > 0) watts[i] = (watts[i] as number) + (more * shareNs) / windowNs;
      }
    };
    for (const round of rounds) {
      if (round.endNs <= beginNs || round.beginNs >= endNs) continue;
      add(round.beginNs, round.endNs, ranks.length * (communication - idle));
      for (const rank of ranks)
        add(round.beginNs, round.beginNs + (round.rankComputeNs?.[rank] ?? 0), compute - communication);
    }
    return { site, windowNs, watts };
  });
}

/** Greatest change of power between neighbouring windows, W/s; undefined with fewer than two. */
export function steepest({ watts, windowNs }: SitePower): number | undefined {
  const changes = watts.slice(1).map((power, i) => Math.abs(power - (watts[i] as number)));
  return changes.length === 0 ? undefined : changes.reduce((most, change) => Math.max(most, change)) / (windowNs / 1e9);
}

/**
 * Share of a series' swing (its energy without the mean) that lies in a band of frequencies, from 0 to 1; undefined without any swing, or when the
 * series is shorter than a period of `lowHz` or its windows longer than half a period of `highHz` (Nyquist).
 * The discrete Fourier transform by Goertzel's recursion for the bins of the band (Goertzel, Am. Math. Monthly 65, 1958); the total by Parseval.
 */
export function bandShare(
  { watts, windowNs }: Pick<SitePower, 'watts' | 'windowNs'>,
  { lowHz, highHz }: { readonly lowHz: number; readonly highHz: number },
): number | undefined {
  const n = watts.length;
  const seconds = (n * windowNs) / 1e9;
  if (seconds * lowHz < 1 - 1e-9 || highHz > 0.5e9 / windowNs) return undefined;
  const mean = watts.reduce((sum, power) => sum + power, 0) / n;
  const total = watts.reduce((sum, power) => sum + (power - mean) ** 2, 0);
  if (!(total > 1e-12 * n * mean ** 2)) return undefined;
  let inBand = 0;
  for (let bin = Math.ceil(lowHz * seconds - 1e-9); bin <= Math.floor(highHz * seconds + 1e-9); bin++) {
    const factor = 2 * Math.cos((2 * Math.PI * bin) / n);
    let [last, before] = [0, 0];
    for (const power of watts) [last, before] = [power - mean + factor * last - before, last];
    const energy = last ** 2 + before ** 2 - factor * last * before;
    // A real series has every bin twice, but for the one at half of the sampling rate.
    inBand += (2 * bin === n ? 1 : 2) * energy;
  }
  return Math.min(1, inBand / n / total);
}
