import type { CountersLine, PortCounters } from '../../../harness/model/record.ts';
import type { FabricSim, SimEvent } from '../fabric-sim.ts';
import { COUNTED, type Observable, type PortCount } from '../fabric/network.ts';

type Counted = (typeof COUNTED)[number];
type Reading = Record<Counted, number>;

/** What a switch that boots answers: nothing. */
const UNREADABLE: PortCounters = {
  rxBytes: null,
  txBytes: null,
  rxPackets: null,
  txPackets: null,
  drops: null,
  queuePackets: null,
  ecnMarked: null,
  pfcRx: null,
  pfcTx: null,
  pausedNs: null,
  queuePeakBytes: null,
  operUp: null,
};

/** What a reading lacks when the engine does not see it. Flow level counts drops of packets without a way, not those of full buffers. */
const TOLD_BY: Readonly<Record<Observable, readonly (keyof PortCounters)[]>> = {
  queues: ['drops', 'queuePackets', 'queuePeakBytes'],
  ecn: ['ecnMarked'],
  pfc: ['pfcRx', 'pfcTx', 'pausedNs'],
  cnp: ['cnpSent', 'cnpHandled'],
  order: ['outOfSequence'],
};

const OBSERVABLES_BY_NAME = Object.entries(TOLD_BY) as [Observable, readonly (keyof PortCounters)[]][];

const plus = (a: Readonly<Reading> | undefined, b: Readonly<PortCount>): Reading =>
  Object.fromEntries(COUNTED.map(name => [name, (a?.[name] ?? 0) + b[name]])) as Reading;

/**
 * Reads every counter of every device. Counts since the reservation, also over a reboot: what a switch had counted when it went down
 * is kept, because the simulator was there to see it.
 */
export class CounterReader {
  readonly #sim: FabricSim;
  readonly #switches: readonly string[];
  readonly #hosts: readonly string[];
  readonly #before = new Map<string, Reading>();

  constructor(sim: FabricSim) {
    this.#sim = sim;
    this.#switches = sim.topology.switches.map(({ name }) => name);
    this.#hosts = sim.topology.hosts.map(({ name }) => name);
  }

  /** Must hear every event: a reboot restarts the switch's own counters. */
  hear(event: SimEvent): void {
    if (event.kind !== 'booting') return;
    for (const { name } of this.#sim.ports(event.node)) {
      const key = `${event.node} ${name}`;
      this.#before.set(key, plus(this.#before.get(key), this.#sim.count(event.node, name)));
    }
  }

  /** One line per device, now. */
  read(): readonly CountersLine[] {
    const { observes } = this.#sim;
    const unseen = new Set(OBSERVABLES_BY_NAME.flatMap(([what, names]) => (observes.has(what) ? [] : names)));
    const told = (counters: PortCounters): PortCounters =>
      unseen.size === 0
        ? counters
        : Object.fromEntries(Object.entries(counters).filter(([name]) => !unseen.has(name as keyof PortCounters)));
    return [...this.#switches, ...this.#hosts].map(node => ({
      kind: 'counters',
      atNs: this.#sim.nowPs / 1e3,
      node,
      ports: Object.fromEntries(
        this.#sim.ports(node).map(({ name, operUp }) => [name, told(this.#port(node, name, operUp))]),
      ),
    }));
  }

  #port(node: string, port: string, operUp: boolean): PortCounters {
    if (!this.#sim.isUp(node)) return UNREADABLE;
    const { queuePackets, ecnMarked, pausedPs, ...rest } = plus(
      this.#before.get(`${node} ${port}`),
      this.#sim.count(node, port),
    );
    const common = { ...rest, pausedNs: pausedPs / 1e3, operUp };
    // A NIC has no lossless egress queue that anyone counts or marks; it has counters of its own.
    if (this.#hosts.includes(node)) {
      const { cnpSent, cnpHandled, outOfSequence } = this.#sim.nic(node);
      return { ...common, cnpSent, cnpHandled, outOfSequence };
    }
    return { ...common, queuePackets, ecnMarked, queuePeakBytes: this.#sim.takeQueuePeak(node, port) };
  }
}
