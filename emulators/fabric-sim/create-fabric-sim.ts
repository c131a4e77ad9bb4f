import { refusesLoad, startJob } from './collective/job.ts';
import { ControlPlane } from './control/control-plane.ts';
import { Protection } from './control/protection.ts';
import { type Defect, defectNamed } from './defects.ts';
import type { FabricSim, FabricSimOptions, SimEvent, SimJob } from './fabric-sim.ts';
import { createNetwork } from './fabric/create-network.ts';
import { startSeries } from './fabric/series.ts';
import { createSwitchingNetwork } from './flow-level/create-switching-network.ts';

/** The last picosecond that a float64 holds exactly: 2.5 h. */
const LAST_PS = Number.MAX_SAFE_INTEGER;

/** At flow level what happens is rarer than a picosecond: 13 days, to 128 ps in the end. After 2.5 h packets can not take over. */
const LAST_FLOW_PS = 2 ** 60;

/** Payload of a probe datagram, B. */
const PROBE_BYTES = 128;

const DIRECTIONS = ['a-to-b', 'b-to-a'] as const;

/**
 * Builds a fabric at time zero, with all ports up, all sessions established and all tables written.
 *
 * @throws RangeError for a defect that does not exist
 */
export function createFabricSim(options: FabricSimOptions): FabricSim {
  const { topology: declared, seed, trainPackets } = options;
  const defect: Defect = options.defect === undefined ? { what: 'Nothing is wrong.' } : defectNamed(options.defect);
  const built = defect.build?.(declared) ?? declared;
  const switching =
    options.granularity && createSwitchingNetwork({ topology: built, seed, granularity: options.granularity });
  const network = switching ?? createNetwork({ topology: built, seed, trainPackets });

  const spanAt = new Map<string, string>();
  for (const { name, ends } of Object.values(built.spans)) {
    for (const { node, port } of ends) spanAt.set(`${node} ${port}`, name);
    if (defect.spanLoss !== undefined)
      for (const direction of DIRECTIONS) network.setSpan(name, direction, { loss: defect.spanLoss });
  }

  const listeners: ((event: SimEvent) => void)[] = [];
  const control = new ControlPlane({
    topology: built,
    settings: built.settings.controlPlane,
    network,
    onEvent: event => {
      for (const listener of listeners) listener(event);
    },
    seed,
    frozenTables: defect.frozenTables ?? false,
    firstPortOnly: defect.firstPortOnly ?? false,
  });

  const protection = new Protection({ topology: built, network, onChange: name => control.spanChanged(name) });

  let awaited: { readonly job: SimJob; readonly rounds: number } | undefined;
  let jobs = 0;

  return {
    topology: declared,
    get nowPs() {
      return network.nowPs;
    },
    get hops() {
      return network.hops;
    },
    get observes() {
      return network.observes;
    },
    playAs(granularity) {
      if (!switching) throw new RangeError('This fabric was built for one engine: give it a granularity.');
      switching.switchTo(granularity);
    },
    advance(untilPs, until) {
      const lastPs = switching?.granularity === 'flow' ? LAST_FLOW_PS : LAST_PS;
      if (!(untilPs <= lastPs))
        throw new RangeError(
          `Virtual time ends at ${lastPs} ps (${lastPs === LAST_PS ? '2.5 h by packets, 13 days at flow level' : '13 days'}), ${untilPs} ps was asked for.`,
        );
      if (until && until.job.rounds.length >= until.rounds) return;
      awaited = until;
      try {
        network.advance(untilPs);
      } finally {
        awaited = undefined;
      }
    },
    at: (atPs, act) => network.at(atPs, act),
    onEvent: listener => listeners.push(listener),

    refuses: load => refusesLoad(load, declared),
    startJob(load) {
      jobs += 1;
      return startJob({
        load,
        topology: declared,
        network,
        // Queue pairs of a second job take other source ports.
        seed: seed + (jobs - 1) * 0x9e3779b9,
        ...(defect.deaf && { deaf: defect.deaf }),
        onRound: job => {
          if (awaited?.job === job && job.rounds.length >= awaited.rounds) network.stop();
        },
      });
    },
    startProbe: ({ source, target, sourcePort, packetsPerSecond }) =>
      network.datagrams({ source, target, entropy: sourcePort, bytes: PROBE_BYTES, packetsPerSecond }),
    path(source, target, sourcePort) {
      const hops = network.path(source, target, sourcePort);
      return {
        hops,
        spans: hops.map(({ node, port }) => spanAt.get(`${node} ${port}`)).filter(name => name !== undefined),
      };
    },

    ports: node => control.ports(node),
    setAdmin: (node, port, up) => control.setAdmin(node, port, up),
    bgp: node => control.bgp(node),
    count: (node, port) => network.count(node, port),
    takeQueuePeak: (node, port) => network.takeQueuePeak(node, port),
    nic: host => network.nic(host),
    series: wanted => startSeries(network, wanted),
    span: (name, direction) => protection.span(name, direction),
    setSpan(name, direction, change) {
      protection.setSpan(name, direction, change);
      control.spanChanged(name);
    },
    protect: (name, wanted) => protection.protect(name, wanted),
    protection: name => protection.state(name),
    spanCount: (name, direction) => network.spanCount(name, direction),
    reboot: (node, takesPs) => control.reboot(node, takesPs),
    isUp: node => control.isUp(node),
    bootedAtPs: node => control.bootedAtPs(node),
    asn: node => control.asn(node),
  };
}
