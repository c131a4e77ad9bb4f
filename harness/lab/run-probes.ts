import type { Host, ProbeJob, ProbeReceiver } from '../binding/host.ts';
import type { RunningProbes } from '../binding/testbed.ts';
import { firstLine } from '../binding/first-line.ts';
import type { ProbeLine } from '../model/record.ts';
import type { Span, Topology } from '../model/topology.ts';
import { maybeApplied } from '../drivers/ssh.ts';
import type { Way } from './device-change.ts';
import { waysOf } from './device-change.ts';
import { addressOf, deviceOf, hostOf, nowOf, type OpenLab } from './open-lab.ts';

/** First of the dynamic ports, RFC 6335 section 6. */
const FIRST_SOURCE_PORT = 49152;

/**
 * Source ports tried per pair of hosts. With s equal spans a port misses one of them with probability (s - 1)/s:
 * 64 ports miss one of 4 spans once in 10^8.
 */
const MOST_PORTS = 64;

/** iperf3's registered port; each flow to the same host takes the next. */
const FIRST_TARGET_PORT = 5201;

/** A probe flow that is known to cross one span in one direction. */
export interface ProbeRoute {
  readonly span: string;
  readonly direction: Way;
  readonly source: string;
  readonly target: string;
  readonly sourcePort: number;
  readonly targetPort: number;
}

const siteOf = (lab: OpenLab, node: string): string =>
  [...lab.topology.switches, ...lab.topology.hosts].find(({ name }) => name === node)?.site ?? '';

const bordersOf = (span: Span, way: Way): readonly [string, string] =>
  way === 'a-to-b' ? [span.ends[0].node, span.ends[1].node] : [span.ends[1].node, span.ends[0].node];

/** Whether hop addresses show that a path leaves one border and arrives at the other. */
function crosses(hops: readonly string[], from: string, to: string): boolean {
  return hops.some((hop, i) => hop === from && hops[i + 1] === to);
}

/**
 * Finds, for every span and direction, a UDP flow that crosses it: source ports from 49152 on are tried until traceroute shows the
 * span's two border switches one after the other. A span that no flow can be pinned on gets none, and an `event` line that says why.
 * Without spans: one flow each way between the first and the last host, as in `sim`.
 */
export async function findRoutes(lab: OpenLab): Promise<readonly ProbeRoute[]> {
  const spans = Object.values(lab.topology.spans) as Span[];
  if (spans.length === 0) return endToEnd(lab.topology);
  const routes: ProbeRoute[] = [];
  const targetPorts = new Map<string, number>();
  for (const direction of waysOf('both')) {
    for (const [index, span] of spans.entries()) {
      const [near, far] = bordersOf(span, direction);
      const giveUp = async (why: string): Promise<void> => {
        const what = `no probe over span ${span.name} ${direction}: ${why}`;
        lab.record({ kind: 'event', atNs: await nowOf(lab), node: near, what });
      };
      const twin = spans.find(other => other !== span && bordersOf(other, direction).join() === [near, far].join());
      if (twin) {
        await giveUp(`traceroute can not tell it from span ${twin.name}, which joins the same two switches`);
        continue;
      }
      const hostsAt = (node: string): readonly string[] =>
        lab.topology.hosts.filter(({ site }) => site === siteOf(lab, node)).map(({ name }) => name);
      const [sources, targets] = [hostsAt(near), hostsAt(far)];
      const [source, target] = [sources[index % sources.length], targets[index % targets.length]];
      if (source === undefined || target === undefined) {
        await giveUp(`no host at the site of ${source === undefined ? near : far}`);
        continue;
      }
      const targetPort = targetPorts.get(target) ?? FIRST_TARGET_PORT;
      const found = await findPort(lab, {
        source,
        target,
        targetPort,
        from: addressOf(lab, near),
        to: addressOf(lab, far),
      });
      if (found.sourcePort === undefined) {
        await giveUp(
          `of ${MOST_PORTS} source ports none crosses it; the last took ${found.last.join(', ') || 'no hop'}`,
        );
        continue;
      }
      targetPorts.set(target, targetPort + 1);
      routes.push({ span: span.name, direction, source, target, sourcePort: found.sourcePort, targetPort });
    }
  }
  return routes;
}

function endToEnd({ hosts }: Topology): readonly ProbeRoute[] {
  const [first, last] = [hosts[0]?.name, hosts.at(-1)?.name];
  if (first === undefined || last === undefined || first === last) return [];
  const common = { span: `${first}--${last}`, sourcePort: FIRST_SOURCE_PORT, targetPort: FIRST_TARGET_PORT };
  return [
    { ...common, direction: 'a-to-b', source: first, target: last },
    { ...common, direction: 'b-to-a', source: last, target: first },
  ];
}

async function findPort(
  lab: OpenLab,
  options: {
    readonly source: string;
    readonly target: string;
    readonly targetPort: number;
    readonly from: string;
    readonly to: string;
  },
): Promise<{ readonly sourcePort?: number; readonly last: readonly string[] }> {
  const { targetPort } = options;
  const host = hostOf(lab, options.source);
  const target = addressOf(lab, options.target);
  let last: readonly string[] = [];
  for (let sourcePort = FIRST_SOURCE_PORT; sourcePort < FIRST_SOURCE_PORT + MOST_PORTS; sourcePort++) {
    last = await host.path({ target, sourcePort, targetPort });
    if (crosses(last, options.from, options.to)) return { sourcePort, last };
  }
  return { last };
}

interface Flow {
  readonly route: ProbeRoute;
  readonly receiver: ProbeReceiver;
  readonly job: ProbeJob;
  readonly beginNs: number;
}

interface FlowOptions {
  readonly packetsPerSecond: number;
  /** Told what may still run on a host though nobody holds it. */
  readonly unsure: (words: string) => void;
}

async function startFlow(lab: OpenLab, route: ProbeRoute, { packetsPerSecond, unsure }: FlowOptions): Promise<Flow> {
  const sentTo =
    (what: string, node: string) =>
    (error: unknown): never => {
      if (maybeApplied(error))
        unsure(`the ${what} on ${deviceOf(lab, node)} may have started and still run: ${firstLine(error)}`);
      throw error;
    };
  const source: Host = hostOf(lab, route.source);
  const { sourcePort, targetPort } = route;
  const receiver = await hostOf(lab, route.target)
    .receiveProbe({ port: targetPort })
    .catch(sentTo('probe receiver', route.target));
  let job: ProbeJob | undefined;
  try {
    const target = addressOf(lab, route.target);
    job = await source
      .startProbe({ target, sourcePort, packetsPerSecond, receiver })
      .catch(sentTo('probe', route.source));
    return { route, receiver, job, beginNs: await nowOf(lab) };
  } catch (error) {
    await abandon(lab, { route, receiver, job, unsure });
    throw error;
  }
}

/** Ends a flow whose counts nobody wants. Stopping a probe asks its receiver for the count, so the receiver comes after it. */
async function abandon(
  lab: OpenLab,
  flow: Pick<Flow, 'route' | 'receiver'> & { readonly job: ProbeJob | undefined } & Pick<FlowOptions, 'unsure'>,
): Promise<void> {
  await flow.job?.stop().catch((error: unknown) => {
    flow.unsure(`the probe on ${deviceOf(lab, flow.route.source)} may still run: ${firstLine(error)}`);
  });
  await stopReceiver(lab, flow);
}

/** Ends a receiver; one that could not be ended is said, and hides no other failure. */
async function stopReceiver(
  lab: OpenLab,
  { route, receiver, unsure }: Pick<Flow, 'route' | 'receiver'> & Pick<FlowOptions, 'unsure'>,
): Promise<void> {
  await receiver.stop().catch((error: unknown) => {
    unsure(`the probe receiver on ${deviceOf(lab, route.target)} may still run: ${firstLine(error)}`);
  });
}

/**
 * Starts one flow per route. Stopping writes one `probe` line per flow whose counts are known; the first failure is passed on.
 *
 * iperf3's server ends with its client and does not wait for what is on the fibre. So of the packets that are missing at the end, as many
 * as one way's delay holds, ceil(rate x delay) and at least 1, are neither sent nor lost but `undecided`; KPIs widen U by them.
 */
export async function runProbes(
  lab: OpenLab,
  options: {
    readonly routes: readonly ProbeRoute[];
    readonly phase: string;
    readonly packetsPerSecond: number;
    /** One-way delay of a route's span as the shaper holds it, ns; 0 where there is none. */
    readonly delayNs: (route: ProbeRoute) => number;
    readonly unsure: (words: string) => void;
  },
): Promise<RunningProbes> {
  const { phase, packetsPerSecond, unsure } = options;
  const begun = await Promise.allSettled(options.routes.map(route => startFlow(lab, route, options)));
  const flows = begun.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []));
  const failed = begun.find(result => result.status === 'rejected');
  if (failed) {
    await Promise.all(flows.map(flow => abandon(lab, { ...flow, unsure })));
    throw failed.reason;
  }
  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    const ended = await Promise.allSettled(
      flows.map(async ({ route, job, beginNs }): Promise<ProbeLine> => {
        const endNs = await nowOf(lab);
        const counted = await job.stop();
        const onFibre = Math.max(1, Math.ceil((packetsPerSecond * options.delayNs(route)) / 1e9));
        const { received } = counted;
        const undecided = Math.max(0, Math.min(onFibre, counted.sent - received));
        const sent = counted.sent - undecided;
        const { span, direction, source, target } = route;
        return {
          kind: 'probe',
          phase,
          span,
          direction,
          source,
          target,
          packetsPerSecond,
          beginNs,
          endNs,
          sent,
          received,
          ...(undecided > 0 && { undecided }),
        };
      }),
    );
    // In the order of the routes, whichever host answered first: the record of a run should not depend on wall time.
    for (const result of ended) if (result.status === 'fulfilled') lab.record(result.value);
    await Promise.all(flows.map(({ route, receiver }) => stopReceiver(lab, { route, receiver, unsure })));
    const broken = ended.find(result => result.status === 'rejected');
    if (broken) throw broken.reason;
  };
  return { stop: () => (stopped ??= stop()) };
}
