import type { ControlPlaneSettings, Topology } from '../../../harness/model/topology.ts';
import { magnitude } from '../../../harness/model/units.ts';
import type { SimBgpSession, SimEvent, SimPort } from '../fabric-sim.ts';
import type { Network } from '../fabric/network.ts';
import { packetLoss } from '../fabric/span-optics.ts';
import { Random } from '../kernel/random.ts';
import { autonomousSystems } from './autonomous-systems.ts';
import { type Changes, Speaker, type Update } from './speaker.ts';
import { farSide, type Side, type Wire, wiresOf } from './wire.ts';

export interface ControlPlaneOptions {
  /** As built, which may differ from what was declared. */
  readonly topology: Topology;
  readonly settings: ControlPlaneSettings;
  readonly network: Pick<Network, 'nowPs' | 'at' | 'setRoute' | 'setForwarding' | 'span' | 'reset'>;
  readonly onEvent: (event: SimEvent) => void;
  /** Draws when partial loss takes enough BFD packets in a row; 0 when absent. */
  readonly seed?: number;
  /** Planted defects: tables are written once and never again; only the first port of an ECMP set is used. */
  readonly frozenTables?: boolean;
  readonly firstPortOnly?: boolean;
}

/**
 * Ports, BFD and BGP of every switch.
 *
 * - A wire is good while both ends are administratively up, both boxes run and both directions carry light. A wire that is not
 *   good takes both ends down (one dark direction too: IEEE 802.3 46.3.4, remote fault), each `lossOfLight` later; an end's own
 *   shutdown acts at once. Light that comes back within that time was never missed.
 * - BFD runs on every wire between switches: an end that hears nothing for `bfdInterval` x `bfdMultiplier` (RFC 5880 6.8.4) closes
 *   the session and tells the other end, one propagation delay later. So a cut with loss of light is found by whichever is faster.
 * - A span that loses a part p of its packets takes k = `bfdMultiplier` in a row now and then: each k that came last are all lost with p^k, and
 *   from good to k lost it takes (1 - p^k) / ((1 - p) p^k) intervals on average (first run of k: Feller, An Introduction to Probability
 *   Theory, volume 1, XIII.7). Times are drawn as k and a geometric remainder of that mean, so that seldom events cost nothing. After each the
 *   session opens again as after any other loss: it flaps. Packets sent at jittered intervals (RFC 5880 6.8.7) are taken as sent at the interval.
 * - Times count from the instant of the fault; where along the fibre it is cut is not modelled. What is in the fibre at a cut is lost too,
 *   so a flow loses its one-way delay over the span on top of these times.
 * - A closed session withdraws what it taught. Each hop: `fibUpdate` until the own table changes, `bgpHop` and the propagation delay until
 *   the neighbour has heard. Until then packets are lost. With shared spine AS numbers no valley exists, so within a site no loop does; in rings
 *   of sites, and on graphs that need unique ones, tables may loop until they agree (the data plane has no hop limit).
 * - A wire on which both ends hear each other for `bgpEstablish` opens the session again; then advertisements go hop by hop.
 */
export class ControlPlane {
  readonly #topology: Topology;
  readonly #network: ControlPlaneOptions['network'];
  readonly #onEvent: (event: SimEvent) => void;
  readonly #frozen: boolean;
  readonly #firstPortOnly: boolean;
  readonly #lossOfLightPs: number;
  readonly #bfdPs: number;
  readonly #bfdIntervalPs: number;
  readonly #bfdMultiplier: number;
  readonly #seed: number;
  /** Ends that lose a part of what they should hear. */
  readonly #lossy = new Map<Side, Lossy>();
  readonly #bgpHopPs: number;
  readonly #fibUpdatePs: number;
  readonly #bgpEstablishPs: number;

  readonly #wires: readonly Wire[];
  readonly #sides = new Map<string, Map<string, Side>>();
  readonly #spans = new Map<string, Wire>();
  readonly #hosts: ReadonlySet<string>;
  #asns: ReadonlyMap<string, number>;
  #speakers: ReadonlyMap<string, Speaker>;
  readonly #down = new Set<string>();
  readonly #boots = new Map<string, number>();
  readonly #bootedAtPs = new Map<string, number>();
  /** Updates that TCP still holds because the wire swallows frames and nobody has noticed yet. */
  readonly #held = new Map<Side, Update[]>();

  constructor(options: ControlPlaneOptions) {
    const { topology, settings, network } = options;
    this.#topology = topology;
    this.#network = network;
    this.#onEvent = options.onEvent;
    this.#frozen = options.frozenTables ?? false;
    this.#firstPortOnly = options.firstPortOnly ?? false;
    const ps = (duration: ControlPlaneSettings['bgpHop']) => Math.round(magnitude(duration) * 1e3);
    this.#lossOfLightPs = ps(settings.lossOfLight);
    this.#bfdIntervalPs = ps(settings.bfdInterval);
    this.#bfdMultiplier = settings.bfdMultiplier;
    this.#bfdPs = this.#bfdIntervalPs * this.#bfdMultiplier;
    this.#seed = options.seed ?? 0;
    this.#bgpHopPs = ps(settings.bgpHop);
    this.#fibUpdatePs = ps(settings.fibUpdate);
    this.#bgpEstablishPs = ps(settings.bgpEstablish);

    this.#hosts = new Set(topology.hosts.map(({ name }) => name));
    this.#wires = wiresOf(topology);
    for (const { name } of [...topology.hosts, ...topology.switches]) this.#sides.set(name, new Map());
    for (const wire of this.#wires) {
      if (wire.kind === 'span') this.#spans.set(wire.name, wire);
      for (const side of wire.sides) this.#portsOf(side.node).set(side.port, side);
    }
    this.#asns = autonomousSystems(topology, 'shared');
    this.#speakers = this.#converged();
    if (this.#cutOff()) {
      this.#asns = autonomousSystems(topology, 'unique');
      this.#speakers = this.#converged();
    }
    for (const wire of this.#spans.values()) this.#listen(wire);
    for (const [name, speaker] of this.#speakers) {
      for (const target of speaker.targets()) this.#write(name, target, speaker.choice(target)?.ports ?? []);
    }
  }

  // ---- what can be read ----

  ports(node: string): readonly SimPort[] {
    return [...this.#portsOf(node).values()].map(side => {
      const far = farSide(side);
      const { adminUp, operUp, lastChangePs } = side;
      return {
        name: side.port,
        adminUp,
        operUp,
        lastChangePs,
        rateBps: side.wire.rateBps,
        neighbor: { node: far.node, port: far.port },
      };
    });
  }

  bgp(node: string): readonly SimBgpSession[] {
    const speaker = this.#speaker(node);
    return [...this.#portsOf(node).values()].filter(isPeering).map(side => {
      const far = farSide(side);
      return {
        port: side.port,
        neighbor: far.node,
        neighborAsn: this.asn(far.node),
        established: side.established,
        sincePs: side.sincePs,
        prefixes: speaker.prefixes(side.port),
      };
    });
  }

  /** @throws RangeError for anything that is not a switch */
  asn(node: string): number {
    const asn = this.#asns.get(node);
    if (asn === undefined) throw new RangeError(`${this.#topology.name} has no switch ${node}.`);
    return asn;
  }

  isUp(node: string): boolean {
    this.#portsOf(node);
    return !this.#down.has(node);
  }

  bootedAtPs(node: string): number {
    this.#portsOf(node);
    return this.#bootedAtPs.get(node) ?? 0;
  }

  // ---- what can happen ----

  setAdmin(node: string, port: string, up: boolean): void {
    const side = this.#portsOf(node).get(port);
    if (!side)
      throw new RangeError(`${node} has no port ${port}. Known: ${[...this.#portsOf(node).keys()].join(', ')}.`);
    if (side.adminUp === up) return;
    side.adminUp = up;
    this.#reconsider(side.wire);
  }

  /** To be called after the state of a span has changed. */
  spanChanged(name: string): void {
    const wire = this.#spans.get(name);
    if (wire) this.#reconsider(wire);
  }

  /** Everything the switch knows, queues and counts is gone; it is back `takesPs` later. */
  reboot(node: string, takesPs: number): void {
    const speaker = this.#speaker(node);
    const boot = (this.#boots.get(node) ?? 0) + 1;
    this.#boots.set(node, boot);
    this.#emit(node, 'booting');
    this.#down.add(node);
    for (const side of this.#portsOf(node).values()) this.#reconsider(side.wire);
    if (!this.#frozen) for (const host of this.#hosts) this.#network.setRoute(node, host, []);
    speaker.clear();
    this.#network.reset(node);
    this.#network.at(this.#network.nowPs + takesPs, () => {
      if (this.#boots.get(node) !== boot) return;
      this.#down.delete(node);
      this.#bootedAtPs.set(node, this.#network.nowPs);
      this.#emit(node, 'booted');
      for (const side of this.#portsOf(node).values()) this.#reconsider(side.wire);
    });
  }

  // ---- ports and light ----

  #reconsider(wire: Wire): void {
    const [a, b] = wire.sides;
    const [toB, toA] = this.#fibre(wire);
    const good = this.#sends(a) && this.#sends(b) && toB.light && toA.light;
    if (good !== wire.good) {
      wire.good = good;
      wire.lighting += 1;
      const lighting = wire.lighting;
      if (!good) {
        this.#network.at(this.#network.nowPs + this.#lossOfLightPs, () => {
          if (wire.lighting !== lighting) return;
          for (const side of wire.sides) this.#setOper(side, false);
          this.#listen(wire);
        });
      }
    }
    for (const side of wire.sides) {
      if (!this.#sends(side)) this.#setOper(side, false);
      else if (good) this.#setOper(side, true);
    }
    this.#listen(wire);
  }

  #setOper(side: Side, up: boolean): void {
    if (side.operUp === up) return;
    side.operUp = up;
    side.lastChangePs = this.#network.nowPs;
    this.#network.setForwarding(side.node, side.port, up);
    this.#emit(side.node, up ? 'link-up' : 'link-down', side.port);
    if (!side.isSwitch) return;
    const far = farSide(side);
    if (isPeering(side)) {
      if (!up) this.#close(side);
    } else if (this.#hosts.has(far.node) && this.isUp(side.node)) {
      this.#spread(side.node, this.#speaker(side.node).attach(far.node, up ? side.port : undefined));
    }
  }

  // ---- BFD ----

  #listen(wire: Wire): void {
    if (!isPeering(wire.sides[0])) return;
    const [toB, toA] = this.#fibre(wire);
    const alive = wire.sides.every(side => this.#sends(side) && side.operUp);
    for (const [side, fibre] of [
      [wire.sides[1], toB],
      [wire.sides[0], toA],
    ] as const) {
      const loss = lossOf(fibre);
      const hears = alive && fibre.light && fibre.passing && loss < 1;
      this.#loses(side, hears ? loss : 0);
      if (hears === side.hears) continue;
      side.hears = hears;
      side.hearing += 1;
      const hearing = side.hearing;
      if (!hears) {
        this.#network.at(this.#network.nowPs + this.#bfdPs, () => {
          if (side.hearing === hearing) this.#detect(side);
        });
      } else {
        for (const update of this.#held.get(side)?.splice(0) ?? []) this.#learn(side, update);
      }
    }
    this.#open(wire);
  }

  /** This end misses so large a part of BFD's packets from now on. */
  #loses(side: Side, loss: number): void {
    const before = this.#lossy.get(side);
    if ((before?.loss ?? 0) === loss) return;
    const dice = before?.dice ?? new Random(this.#seed, 3_000_000 + 2 * this.#wires.indexOf(side.wire) + side.index);
    const lossy: Lossy = { loss, dice };
    this.#lossy.set(side, lossy);
    if (loss === 0) return;
    const k = this.#bfdMultiplier;
    const beyond = (1 - loss ** k) / ((1 - loss) * loss ** k) - k;
    const next = (): void => {
      const intervals = k + dice.runLength(1 / (beyond + 1));
      const atPs = this.#network.nowPs + intervals * this.#bfdIntervalPs;
      if (!(atPs <= LAST_PS)) return;
      this.#network.at(atPs, () => {
        if (this.#lossy.get(side) !== lossy) return;
        this.#detect(side);
        next();
      });
    };
    next();
  }

  /** This end gives up; the other end, if it still hears, is told so (RFC 5880 6.8.4: the next control packet says Down). */
  #detect(side: Side): void {
    if (!side.established) return;
    const { wire } = side;
    this.#close(side);
    const { session } = wire;
    this.#network.at(this.#network.nowPs + wire.delayPs[side.index], () => {
      const far = farSide(side);
      if (wire.session === session && far.hears) this.#close(far);
      this.#open(wire);
    });
    this.#open(wire);
  }

  // ---- BGP sessions ----

  #open(wire: Wire): void {
    const [a, b] = wire.sides;
    if (!a.hears || !b.hears || (a.established && b.established)) return;
    const opening = a.hearing + b.hearing;
    if (wire.opening === opening) return;
    wire.opening = opening;
    this.#network.at(this.#network.nowPs + this.#bgpEstablishPs, () => {
      if (wire.opening !== opening || a.hearing + b.hearing !== opening) return;
      wire.opening = -1;
      if (a.established && b.established) return;
      for (const side of wire.sides) this.#close(side);
      wire.session += 1;
      for (const side of wire.sides) {
        side.established = true;
        side.sincePs = this.#network.nowPs;
        this.#speaker(side.node).open(side.port);
        this.#emit(side.node, 'bgp-up', side.port);
      }
      for (const side of wire.sides) this.#send(side, this.#speaker(side.node).targets());
    });
  }

  #close(side: Side): void {
    if (!side.established) return;
    side.established = false;
    side.sincePs = this.#network.nowPs;
    side.wire.session += 1;
    for (const end of side.wire.sides) this.#held.delete(end);
    this.#emit(side.node, 'bgp-down', side.port);
    if (this.isUp(side.node)) this.#spread(side.node, this.#speaker(side.node).close(side.port));
  }

  // ---- routes ----

  #spread(node: string, changes: Changes): void {
    const speaker = this.#speaker(node);
    if (changes.forwarding.size > 0 && !this.#frozen) {
      const boot = this.#boots.get(node);
      const tables = [...changes.forwarding].map(target => [target, speaker.choice(target)?.ports ?? []] as const);
      this.#network.at(this.#network.nowPs + this.#fibUpdatePs, () => {
        if (this.#boots.get(node) !== boot) return;
        for (const [target, ports] of tables) this.#write(node, target, ports);
      });
    }
    if (changes.advertised.size === 0) return;
    for (const side of this.#portsOf(node).values()) if (side.established) this.#send(side, changes.advertised);
  }

  #send(side: Side, targets: Iterable<string>): void {
    const far = farSide(side);
    const update = this.#speaker(side.node).tell(this.asn(far.node), targets);
    const { session } = side.wire;
    this.#network.at(this.#network.nowPs + this.#bgpHopPs + side.wire.delayPs[side.index], () => {
      if (side.wire.session !== session) return;
      if (far.hears) this.#learn(far, update);
      else this.#held.set(far, [...(this.#held.get(far) ?? []), update]);
    });
  }

  #learn(side: Side, update: Update): void {
    if (side.established) this.#spread(side.node, this.#speaker(side.node).receive(side.port, update));
  }

  #write(node: string, target: string, ports: readonly string[]): void {
    this.#network.setRoute(node, target, this.#firstPortOnly ? ports.slice(0, 1) : ports);
  }

  // ---- the state at time zero ----

  /** All sessions up and all updates exchanged, in no time. */
  #converged(): ReadonlyMap<string, Speaker> {
    const speakers = new Map(
      this.#topology.switches.map(({ name }) => [name, new Speaker(this.asn(name), [...this.#portsOf(name).keys()])]),
    );
    const waiting: { readonly to: Side; readonly update: Update }[] = [];
    const spread = (node: string, { advertised }: Changes) => {
      if (advertised.size === 0) return;
      for (const side of this.#portsOf(node).values()) {
        const far = farSide(side);
        if (isPeering(side))
          waiting.push({ to: far, update: (speakers.get(node) as Speaker).tell(this.asn(far.node), advertised) });
      }
    };
    for (const side of this.#wires.flatMap(({ sides }) => sides).filter(isPeering)) {
      side.established = true;
      (speakers.get(side.node) as Speaker).open(side.port);
    }
    for (const side of this.#wires.flatMap(({ sides }) => sides)) {
      const far = farSide(side);
      if (side.isSwitch && this.#hosts.has(far.node))
        spread(side.node, (speakers.get(side.node) as Speaker).attach(far.node, side.port));
    }
    for (let next = 0; next < waiting.length; next++) {
      const { to, update } = waiting[next] as (typeof waiting)[number];
      spread(to.node, (speakers.get(to.node) as Speaker).receive(to.port, update));
    }
    return speakers;
  }

  /** Whether some switch has no route to a host although cables lead there. */
  #cutOff(): boolean {
    for (const host of this.#hosts) {
      const reached = new Set([host]);
      for (const node of reached) {
        for (const side of this.#portsOf(node).values()) {
          const far = farSide(side);
          if (far.isSwitch) reached.add(far.node);
        }
      }
      reached.delete(host);
      // Spines have no traffic of their own, so only switches with hosts must reach every host.
      for (const node of reached) {
        const hasHosts = [...this.#portsOf(node).values()].some(side => this.#hosts.has(farSide(side).node));
        if (hasHosts && !this.#speaker(node).choice(host)) return true;
      }
    }
    return false;
  }

  // ---- small words ----

  #sends(side: Side): boolean {
    return side.adminUp && !this.#down.has(side.node);
  }

  #fibre(wire: Wire): readonly [Fibre, Fibre] {
    if (wire.kind === 'link') return [CLEAR, CLEAR];
    return [this.#network.span(wire.name, 'a-to-b'), this.#network.span(wire.name, 'b-to-a')];
  }

  #portsOf(node: string): Map<string, Side> {
    const ports = this.#sides.get(node);
    if (!ports) throw new RangeError(`${this.#topology.name} has no node ${node}.`);
    return ports;
  }

  #speaker(node: string): Speaker {
    const speaker = this.#speakers.get(node);
    if (!speaker) throw new RangeError(`${this.#topology.name} has no switch ${node}.`);
    return speaker;
  }

  /** A box that boots says nothing. */
  #emit(node: string, kind: SimEvent['kind'], port?: string): void {
    if (!this.#down.has(node))
      this.#onEvent({ atPs: this.#network.nowPs, node, kind, ...(port !== undefined && { port }) });
  }
}

interface Lossy {
  readonly loss: number;
  readonly dice: Random;
}

/** Packets' time ends here (2.5 h); flow level goes on, without flaps of partial loss. */
const LAST_PS = Number.MAX_SAFE_INTEGER;

/** BFD's packet on the wire (RFC 5880 4.1: 24 B; UDP 8, IPv4 20, Ethernet 14, FCS 4, preamble and gap 20). */
const BFD_WIRE_BYTES = 90;

const lossOf = ({ loss, ber = 0 }: Fibre): number => 1 - (1 - loss) * (1 - packetLoss(ber, BFD_WIRE_BYTES));

interface Fibre {
  readonly passing: boolean;
  readonly light: boolean;
  readonly loss: number;
  readonly ber?: number;
}

const CLEAR: Fibre = { passing: true, light: true, loss: 0 };

const isPeering = (side: Side): boolean => side.isSwitch && farSide(side).isSwitch;
