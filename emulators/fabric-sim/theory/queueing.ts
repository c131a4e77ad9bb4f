/**
 * Waiting in a queue, fair sharing of links, and what loss costs a window protocol. Times are in the unit of the service time.
 */

/**
 * Mean wait before service in M/G/1, first come first served: lambda E[S^2]/(2(1 - rho)) (Pollaczek 1930, Khinchine 1932;
 * Kleinrock, Queueing Systems I, 5.6). `variation` is the squared coefficient of variation of the service time: 0 for packets of
 * one size (M/D/1, half of M/M/1), 1 for exponential ones (M/M/1).
 *
 * @throws RangeError when the load is not in [0, 1)
 */
export function meanWait({
  load,
  service,
  variation,
}: {
  /** rho: share of time that the server is busy, in [0, 1). */
  readonly load: number;
  /** Mean service time, of any unit. */
  readonly service: number;
  readonly variation: number;
}): number {
  if (!(load >= 0 && load < 1))
    throw new RangeError(`A queue with load ${load} has no mean wait; it must be in [0, 1).`);
  return (load * service * (1 + variation)) / (2 * (1 - load));
}

/** Mean wait in M/D/1: Poisson arrivals, packets of one size. */
export const md1Wait = (at: { readonly load: number; readonly service: number }): number =>
  meanWait({ ...at, variation: 0 });

/** Mean wait in M/M/1: Poisson arrivals, exponential service times. */
export const mm1Wait = (at: { readonly load: number; readonly service: number }): number =>
  meanWait({ ...at, variation: 1 });

export interface SharedFlow {
  /** Links that the flow crosses, by name. */
  readonly links: readonly string[];
  /** The most it can send; unlimited when absent. */
  readonly demand?: number;
}

/**
 * Max-min fair rates, in the order of the flows, by progressive filling (Bertsekas and Gallager, Data Networks, 6.5.2): all rates rise
 * together; who meets a full link or its demand stays there. Infinite for a flow that nothing limits.
 *
 * @throws RangeError when a flow crosses a link without a capacity
 */
export function maxMinShares(capacities: ReadonlyMap<string, number>, flows: readonly SharedFlow[]): readonly number[] {
  for (const { links } of flows)
    for (const link of links) if (!capacities.has(link)) throw new RangeError(`No link is called ${link}.`);
  const rates = flows.map(() => 0);
  const open = new Set(flows.keys());
  const left = new Map(capacities);
  while (open.size > 0) {
    const users = new Map<string, number>();
    for (const i of open) for (const link of new Set(flows[i]?.links)) users.set(link, (users.get(link) ?? 0) + 1);
    let step = Number.POSITIVE_INFINITY;
    for (const [link, count] of users) step = Math.min(step, (left.get(link) as number) / count);
    for (const i of open) step = Math.min(step, (flows[i]?.demand ?? Number.POSITIVE_INFINITY) - (rates[i] as number));
    for (const i of open) rates[i] = (rates[i] as number) + step;
    if (step === Number.POSITIVE_INFINITY) return rates;
    const full = new Set<string>();
    for (const [link, count] of users) {
      const rest = (left.get(link) as number) - count * step;
      // Rounding must not leave a link open for ever with a rest of 1e-16.
      if (rest <= 1e-12 * (capacities.get(link) as number)) full.add(link);
      left.set(link, Math.max(0, rest));
    }
    for (const i of open) {
      const { links, demand = Number.POSITIVE_INFINITY } = flows[i] as SharedFlow;
      if (links.some(link => full.has(link)) || (rates[i] as number) >= demand * (1 - 1e-12)) open.delete(i);
    }
  }
  return rates;
}
