import { rulesOf } from '../loads/load-rules.ts';
import { bestRoundNs, goodputRoofline, hasRounds } from '../loads/roofline.ts';
import { type Standing, standing } from '../loads/standing.ts';
import type { Fault } from '../model/fault.ts';
import type { Load } from '../model/load.ts';
import { DEFAULT_PROBES_PER_SECOND, type Plan } from '../model/plan.ts';
import { magnitude } from '../model/units.ts';
import { isWork } from './check-plan.ts';

/**
 * What a plan costs to simulate, in packet-hops: every packet counts once per cable that it crosses, on the shortest path.
 * Data packets are full (the declared MTU), and each is answered by one ACK that crosses as many cables, so data counts twice.
 * Probe packets are not answered. Phases are taken to last as long as the roofline allows; stalls and retransmissions are not foreseen.
 * Computed from the plan alone; packet trains divide it by their length.
 */
export function cost(plan: Plan): number {
  const whole = standing(plan.topology, []);
  const packetsPerSecond = plan.probes?.packetsPerSecond ?? DEFAULT_PROBES_PER_SECOND;
  const probeHops = Object.values(plan.topology.spans).reduce((sum, span) => sum + 2 * acrossHops(span.ends), 0);

  function acrossHops(ends: readonly [{ readonly node: string }, { readonly node: string }]): number {
    const sites = ends.map(end => plan.topology.switches.find(node => node.name === end.node)?.site);
    const [a, b] = sites.map(site => plan.topology.hosts.find(host => host.site === site)?.name);
    return (a !== undefined && b !== undefined && whole.hops(a, b)) || 0;
  }

  const loads = [plan.load, ...(plan.background ?? [])].map(load => perTime(load, plan, whole));
  return Math.round(
    Object.values(plan.phases).reduce((sum, phase) => {
      const faults = phase.faults ?? [];
      const roundNs = bestRoundNs(plan.load, plan.topology, faults) ?? bestRoundNs(plan.load, plan.topology);
      const lastsNs = isWork(phase) ? magnitude(phase.for) * (roundNs ?? 0) : magnitude(phase.for);
      const data = loads.reduce((hops, perNs) => hops + perNs(faults) * lastsNs, 0);
      return sum + data + (lastsNs / 1e9) * packetsPerSecond * probeHops;
    }, 0),
  );
}

/** Packet-hops a nanosecond of one load while faults are true. */
function perTime(load: Load, plan: Plan, whole: Standing): (faults: readonly Fault[]) => number {
  const flows = rulesOf(load).flows(load, plan.topology);
  const mtu = magnitude(plan.topology.settings.roce.mtu);
  const hopsOf = (source: string, target: string): number => whole.hops(source, target) ?? 0;
  if (hasRounds(load)) {
    const roundHops = flows.reduce(
      (sum, { source, target, bytes }) => sum + 2 * Math.ceil(bytes / mtu) * hopsOf(source, target),
      0,
    );
    return faults =>
      roundHops /
      (bestRoundNs(load, plan.topology, faults) ?? bestRoundNs(load, plan.topology) ?? Number.POSITIVE_INFINITY);
  }
  const meanHops =
    flows.reduce((sum, { source, target }) => sum + hopsOf(source, target), 0) / Math.max(1, flows.length);
  return faults => {
    const rateBps = goodputRoofline(load, plan.topology, faults) ?? goodputRoofline(load, plan.topology) ?? 0;
    return (2 * (rateBps / 8e9) * meanHops) / mtu;
  };
}
