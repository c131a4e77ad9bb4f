import type { EventLine, ProbeLine } from '../../../harness/model/record.ts';
import type { Span, Topology } from '../../../harness/model/topology.ts';
import { magnitude } from '../../../harness/model/units.ts';
import { PS_PER_METRE } from '../control/wire.ts';
import type { FabricSim } from '../fabric-sim.ts';
import type { DatagramStream } from '../fabric/network.ts';

interface Aim {
  readonly span: string;
  readonly direction: ProbeLine['direction'];
  readonly source: string;
  readonly target: string;
  readonly sourcePort: number;
}

/** Dynamic ports (RFC 6335 section 6) are searched from the first. */
const FIRST_PORT = 49_152;
const PORTS_TRIED = 256;
/** Pairs of hosts tried when one pair has no port that fits. */
const PAIRS_TRIED = 8;

/** Beyond the fibres: queues drain within this, ps. 32 MB at 100 Gb/s are 2.6 ms. */
const DRAIN_GRACE_PS = 3e9;

/** Finds a flow whose path, with today's tables, crosses exactly this span, this way. */
function aim(sim: FabricSim, span: Span, direction: ProbeLine['direction']): Aim | undefined {
  const { hosts, switches } = sim.topology;
  const [near, far] = direction === 'a-to-b' ? span.ends : ([span.ends[1], span.ends[0]] as const);
  const siteOf = (node: string) => switches.find(({ name }) => name === node)?.site;
  const at = (node: string) => hosts.filter(({ site }) => site === siteOf(node)).map(({ name }) => name);
  const [sources, targets] = [at(near.node), at(far.node)];
  for (let pair = 0; pair < Math.min(PAIRS_TRIED, sources.length * targets.length); pair++) {
    const source = sources[pair % sources.length] as string;
    const target = targets[(pair + Math.floor(pair / sources.length)) % targets.length] as string;
    for (let sourcePort = FIRST_PORT; sourcePort < FIRST_PORT + PORTS_TRIED; sourcePort++) {
      const { hops, spans } = sim.path(source, target, sourcePort);
      if (spans.length !== 1 || spans[0] !== span.name) continue;
      if (hops.some(({ node, port }) => node === near.node && port === near.port))
        return { span: span.name, direction, source, target, sourcePort };
    }
  }
  return undefined;
}

function ends(topology: Topology): readonly Pick<Aim, 'span' | 'direction' | 'source' | 'target'>[] {
  const [first, last] = [topology.hosts[0]?.name, topology.hosts.at(-1)?.name];
  if (first === undefined || last === undefined || first === last) return [];
  const span = `${first}--${last}`;
  return [
    { span, direction: 'a-to-b', source: first, target: last },
    { span, direction: 'b-to-a', source: last, target: first },
  ];
}

export interface SimProbes {
  stop(): Promise<void>;
}

export interface SimProbesOptions {
  readonly sim: FabricSim;
  readonly phase: string;
  readonly packetsPerSecond: number;
  readonly write: (line: ProbeLine | EventLine) => void;
  /** Lets virtual time pass until the condition holds, within a bound. */
  readonly settle: (holds: () => boolean, withinPs: number) => Promise<void>;
}

/**
 * One UDP flow per span and direction; without spans one each way between the first and the last host.
 *
 * Drain rule: sending ends at `stop()` and that is the flow's `endNs`; then virtual time passes until every datagram has arrived, at most
 * until all fibres are crossed and all queues are empty (the fibres' delay twice and 3 ms). What has not arrived by then is lost. So nothing
 * in flight counts as lost, and a healthy phase is longer by one way only.
 */
export function startProbes({ sim, phase, packetsPerSecond, write, settle }: SimProbesOptions): SimProbes {
  const { topology } = sim;
  const spans = Object.values(topology.spans);
  const beginNs = sim.nowPs / 1e3;
  const aims: Aim[] = spans.length === 0 ? ends(topology).map(end => ({ ...end, sourcePort: FIRST_PORT })) : [];
  for (const span of spans) {
    for (const direction of ['a-to-b', 'b-to-a'] as const) {
      const found = aim(sim, span, direction);
      if (found) aims.push(found);
      else {
        const node = span.ends[direction === 'a-to-b' ? 0 : 1].node;
        write({
          kind: 'event',
          atNs: beginNs,
          node,
          what: `no probe over span ${span.name} ${direction}: today no path crosses it alone`,
        });
      }
    }
  }
  const flows: (Aim & { readonly stream: DatagramStream })[] = aims.map(flow => ({
    ...flow,
    stream: sim.startProbe({ ...flow, packetsPerSecond }),
  }));
  // Twice: a planted defect may have made the fibres longer than declared.
  const fibrePs = spans.reduce((sum, { length }) => sum + magnitude(length) * PS_PER_METRE, 0);
  const boundPs = Math.ceil(2 * fibrePs) + DRAIN_GRACE_PS;

  const finish = async () => {
    const endNs = sim.nowPs / 1e3;
    for (const { stream } of flows) stream.stop();
    await settle(() => flows.every(({ stream }) => stream.received() >= stream.sent()), boundPs);
    for (const { span, direction, source, target, stream } of flows) {
      write({
        kind: 'probe',
        phase,
        span,
        direction,
        source,
        target,
        packetsPerSecond,
        beginNs,
        endNs,
        sent: stream.sent(),
        received: stream.received(),
      });
    }
  };
  let finished: Promise<void> | undefined;
  return { stop: () => (finished ??= finish()) };
}
