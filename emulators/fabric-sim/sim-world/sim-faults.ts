import type { InjectedFault } from '../../../harness/binding/testbed.ts';
import type { Fault } from '../../../harness/model/fault.ts';
import { fibreDelayPs } from '../../../harness/model/fibre-delay.ts';
import type { EffectLine } from '../../../harness/model/record.ts';
import type { Topology } from '../../../harness/model/topology.ts';
import { magnitude } from '../../../harness/model/units.ts';
import type { FabricSim, SimEvent, SimPort } from '../fabric-sim.ts';

type Way = 'a-to-b' | 'b-to-a';
const WAYS: readonly Way[] = ['a-to-b', 'b-to-a'];

/** What a fibre does to packets besides letting them pass. */
interface Fibre {
  readonly delayPs: number;
  readonly loss: number;
  readonly ber: number;
}

interface Worse extends Omit<Fibre, 'delayPs'> {
  readonly ways: readonly Way[];
  readonly detourPs: number;
}

interface Outcome {
  readonly expected: string;
  readonly observed: string;
  readonly verified: boolean;
}

interface Effect {
  /** What independent evidence says now. */
  witness(): readonly Pick<EffectLine, 'witness' | 'seen' | 'real'>[];
  /** Undoes it and reads back. May let virtual time pass, as far as `pass` allows. */
  heal(): Promise<Outcome>;
}

export interface SimFaultsOptions {
  readonly sim: FabricSim;
  readonly write: (line: EffectLine) => void;
  /** Lets virtual time pass until the condition holds, within a bound. */
  readonly settle: (holds: () => boolean, withinPs: number) => Promise<void>;
}

const ps = (duration: Parameters<typeof magnitude>[0]): number => Math.round(magnitude(duration) * 1e3);

/** Grace beyond the declared timers when a reboot's way back is awaited, ps: a slow fabric is healed too, only later. */
const REBOOT_GRACE_PS = 2e12;

/** Why the topology has no such thing; undefined when it has. */
export function refusesFault(fault: Fault, topology: Topology): string | undefined {
  switch (fault.kind) {
    case 'span-cut':
    case 'span-flap':
    case 'span-degrade':
    case 'protection-switch':
      if (!Object.hasOwn(topology.spans, fault.span.name)) return `${topology.name} has no span ${fault.span.name}.`;
      if (fault.kind === 'span-degrade') {
        const share = 'loss' in fault.amount ? magnitude(fault.amount.loss) : fault.amount.ber;
        return share > 0 && share < 1 ? undefined : `A span does not degrade by ${share}.`;
      }
      if (fault.kind === 'protection-switch')
        return magnitude(fault.outage) >= 0 && magnitude(fault.detour) > 0
          ? undefined
          : `A path longer by ${fault.detour} after ${fault.outage} protects nothing.`;
      if (fault.kind === 'span-cut') return undefined;
      if (!(magnitude(fault.down) > 0 && magnitude(fault.down) < magnitude(fault.every))) {
        return `A flap of ${fault.down} in every ${fault.every} is not a flap.`;
      }
      return undefined;
    case 'link-down':
      return topology.links.some(({ name }) => name === fault.link.name)
        ? undefined
        : `${topology.name} has no link ${fault.link.name}.`;
    case 'switch-reboot':
      if (!topology.switches.some(({ name }) => name === fault.switch.name))
        return `${topology.name} has no switch ${fault.switch.name}.`;
      return magnitude(fault.takes) > 0 ? undefined : `A reboot takes longer than ${fault.takes}.`;
    default:
      return `The simulator knows no fault "${(fault as Fault).kind}".`;
  }
}

/**
 * Faults in effect. What a span or a port is to be is the pristine state overlaid with every fault in force on it, so faults may overlap
 * and be healed in any order.
 */
export class SimFaults {
  readonly #sim: FabricSim;
  readonly #write: SimFaultsOptions['write'];
  readonly #settle: SimFaultsOptions['settle'];
  readonly #active = new Map<string, () => Promise<Outcome>>();
  /** Spans as found, and what holds each of them down: fault id to the ways it darkens. */
  readonly #pristine = new Map<string, { readonly passing: boolean; readonly light: boolean }>();
  readonly #cuts = new Map<string, Map<string, { readonly ways: readonly Way[]; readonly light: boolean }>>();
  /** What is changed on spans that stay lit, and how each span was. */
  readonly #worse = new Map<string, Map<string, Worse>>();
  readonly #fibres = new Map<string, Fibre>();
  readonly #shut = new Map<string, Set<string>>();
  readonly #downs = new Map<string, number[]>();

  constructor({ sim, write, settle }: SimFaultsOptions) {
    this.#sim = sim;
    this.#write = write;
    this.#settle = settle;
    for (const name of Object.keys(sim.topology.spans)) {
      this.#cuts.set(name, new Map());
      for (const way of WAYS) {
        const { passing, light, delayPs, loss, ber = 0 } = sim.span(name, way);
        this.#pristine.set(`${name} ${way}`, { passing, light });
        this.#fibres.set(`${name} ${way}`, { delayPs, loss, ber });
      }
    }
  }

  hear(event: SimEvent): void {
    if (event.kind !== 'link-down') return;
    const key = `${event.node} ${event.port}`;
    this.#downs.set(key, [...(this.#downs.get(key) ?? []), event.atPs]);
  }

  /** @throws RangeError for what is refused, Error for an id that is in use */
  inject(fault: Fault, id: string): InjectedFault {
    const refusal = refusesFault(fault, this.#sim.topology);
    if (refusal) throw new RangeError(refusal);
    if (this.#active.has(id)) throw new Error(`A fault ${id} is in effect already.`);
    const effect = this.#begin(fault, id);
    let healing: ReturnType<InjectedFault['heal']> | undefined;
    const heal = async () => {
      this.#active.delete(id);
      const outcome = await effect.heal();
      return {
        healedNs: this.#sim.nowPs / 1e3,
        ...outcome,
        ...(!outcome.verified && { manual: 'Start a new run: a simulated fabric ends with it.' }),
      };
    };
    const once = () => (healing ??= heal());
    this.#active.set(id, once);
    return {
      witness: async () => {
        for (const seen of effect.witness())
          this.#write({ kind: 'effect', fault: id, atNs: this.#sim.nowPs / 1e3, ...seen });
      },
      heal: once,
    };
  }

  /** Heals what is left, last injected first, and says in words what could not be verified. */
  async healAll(): Promise<readonly string[]> {
    const dirty: string[] = [];
    for (const [id, heal] of [...this.#active].toReversed()) {
      const { verified, expected, observed } = await heal();
      if (!verified) dirty.push(`${id}: expected ${expected}, observed ${observed}`);
    }
    return dirty;
  }

  /** Whether everything is as it was found. One line for each thing that is not. */
  differences(): readonly string[] {
    const { topology } = this.#sim;
    const spans = Object.keys(topology.spans).map(name => this.#spanOutcome(name));
    const nodes = topology.switches
      .filter(({ name }) => !this.#sim.isUp(name))
      .map(({ name }) => `${name} is still booting`);
    const ports = [...topology.switches, ...topology.hosts].flatMap(({ name }) =>
      this.#sim.ports(name).flatMap(port => (port.adminUp ? [] : [`${name} ${port.name} is administratively down`])),
    );
    return [
      ...[...spans, ...Object.keys(topology.spans).map(name => this.#fibreOutcome(name))].flatMap(
        ({ verified, expected, observed }) => (verified ? [] : [`expected ${expected}, observed ${observed}`]),
      ),
      ...nodes,
      ...ports,
    ];
  }

  #begin(fault: Fault, id: string): Effect {
    switch (fault.kind) {
      case 'span-cut':
        return this.#cut(fault, id);
      case 'span-flap':
        return this.#flap(fault, id);
      case 'span-degrade':
        return this.#degrade(fault, id);
      case 'protection-switch':
        return this.#switchOver(fault, id);
      case 'link-down':
        return this.#linkDown(fault, id);
      case 'switch-reboot':
        return this.#reboot(fault);
    }
  }

  // ---- spans ----

  #cut({ span, direction, light }: Extract<Fault, { kind: 'span-cut' }>, id: string): Effect {
    const sincePs = this.#sim.nowPs;
    const ways = WAYS.filter(way => direction === 'both' || direction === way);
    this.#setCut(span.name, id, { ways, light: light === 'kept' });
    return {
      witness: () => [
        ...ways.map(way => {
          const state = this.#sim.span(span.name, way);
          const real = !state.passing && state.light === (light === 'kept');
          return { witness: `span ${span.name} ${way}`, seen: spanWords(state), real };
        }),
        ...span.ends.map(end => (light === 'lost' ? this.#wentDown(end, sincePs) : this.#stayedUp(end, sincePs))),
      ],
      heal: async () => {
        this.#setCut(span.name, id, undefined);
        return this.#spanOutcome(span.name);
      },
    };
  }

  #flap({ span, every, down, light }: Extract<Fault, { kind: 'span-flap' }>, id: string): Effect {
    const sincePs = this.#sim.nowPs;
    const [everyPs, downPs] = [ps(every), ps(down)];
    const cut = { ways: WAYS, light: light === 'kept' };
    let over = false;
    let flaps = 0;
    let confirmed = 0;
    const later = (delayPs: number, act: () => void) =>
      this.#sim.at(this.#sim.nowPs + delayPs, () => (over ? undefined : act()));
    const fall = (): void => {
      flaps += 1;
      this.#setCut(span.name, id, cut);
      later(Math.floor(downPs / 2), () => {
        if (WAYS.every(way => !this.#sim.span(span.name, way).passing)) confirmed += 1;
      });
      later(downPs, () => this.#setCut(span.name, id, undefined));
      later(everyPs, fall);
    };
    fall();
    return {
      witness: () => [
        {
          witness: `span ${span.name}`,
          seen: `read in the middle of an outage, ${confirmed} times of ${flaps}: no frames pass`,
          real: confirmed > 0 ? true : null,
        },
        ...span.ends.map(end => (light === 'lost' ? this.#wentDown(end, sincePs) : this.#stayedUp(end, sincePs))),
      ],
      heal: async () => {
        over = true;
        this.#setCut(span.name, id, undefined);
        return this.#spanOutcome(span.name);
      },
    };
  }

  #degrade({ span, direction, amount }: Extract<Fault, { kind: 'span-degrade' }>, id: string): Effect {
    const ways = WAYS.filter(way => direction === 'both' || direction === way);
    const before = ways.map(way => this.#sim.spanCount(span.name, way).lost);
    this.#setWorse(span.name, id, {
      ways,
      loss: 'loss' in amount ? magnitude(amount.loss) : 0,
      ber: 'ber' in amount ? amount.ber : 0,
      detourPs: 0,
    });
    return {
      witness: () =>
        ways.map((way, i) => {
          const { loss, ber = 0, light } = this.#sim.span(span.name, way);
          const lost = this.#sim.spanCount(span.name, way).lost - (before[i] ?? 0);
          const set = 'loss' in amount ? loss >= magnitude(amount.loss) : ber >= amount.ber;
          // Of few packets none may have been lost.
          return {
            witness: `span ${span.name} ${way}`,
            seen: `${fibreWords({ loss, ber })}, light ${light ? 'on' : 'off'}, ${lost} packets lost since the fault`,
            real: set ? (lost > 0 ? true : null) : false,
          };
        }),
      heal: async () => {
        this.#setWorse(span.name, id, undefined);
        return this.#fibreOutcome(span.name);
      },
    };
  }

  #switchOver({ span, outage, detour }: Extract<Fault, { kind: 'protection-switch' }>, id: string): Effect {
    const detourPs = fibreDelayPs(magnitude(detour));
    let over = false;
    let switched = false;
    this.#setCut(span.name, id, { ways: WAYS, light: true });
    this.#sim.at(this.#sim.nowPs + ps(outage), () => {
      if (over) return;
      switched = true;
      this.#setWorse(span.name, id, { ways: WAYS, loss: 0, ber: 0, detourPs });
      this.#setCut(span.name, id, undefined);
    });
    return {
      witness: () =>
        WAYS.map(way => {
          const { delayPs, passing } = this.#sim.span(span.name, way);
          const found = this.#fibres.get(`${span.name} ${way}`) as Fibre;
          return {
            witness: `span ${span.name} ${way}`,
            seen: `${passing ? 'passing' : 'dark to frames'}, delay ${delayPs / 1e3} ns, found with ${found.delayPs / 1e3} ns`,
            // The outage alone could be a cut.
            real: switched ? delayPs >= found.delayPs + detourPs : null,
          };
        }),
      heal: async () => {
        over = true;
        this.#setWorse(span.name, id, undefined);
        this.#setCut(span.name, id, undefined);
        const [fibre, lit] = [this.#fibreOutcome(span.name), this.#spanOutcome(span.name)];
        return {
          expected: `${lit.expected}; ${fibre.expected}`,
          observed: `${lit.observed}; ${fibre.observed}`,
          verified: lit.verified && fibre.verified,
        };
      },
    };
  }

  #setWorse(name: string, id: string, worse: Worse | undefined): void {
    const held = this.#worse.get(name) ?? new Map<string, Worse>();
    this.#worse.set(name, held);
    if (worse) held.set(id, worse);
    else held.delete(id);
    for (const way of WAYS) {
      const { delayPs, loss, ber } = this.#fibreWanted(name, way);
      const now = this.#sim.span(name, way);
      if (now.delayPs !== delayPs || now.loss !== loss || (now.ber ?? 0) !== ber)
        this.#sim.setSpan(name, way, { delayPs, loss, ...((now.ber ?? 0) !== ber && { ber }) });
    }
  }

  /** As found, with all that makes it worse now; losses are independent of each other. */
  #fibreWanted(name: string, way: Way): Fibre {
    const found = this.#fibres.get(`${name} ${way}`) as Fibre;
    const held = [...(this.#worse.get(name)?.values() ?? [])].filter(({ ways }) => ways.includes(way));
    return held.reduce(
      (sum, { loss, ber, detourPs }) => ({
        delayPs: sum.delayPs + detourPs,
        loss: sum.loss === 0 ? loss : 1 - (1 - sum.loss) * (1 - loss),
        ber: sum.ber === 0 ? ber : 1 - (1 - sum.ber) * (1 - ber),
      }),
      found,
    );
  }

  #fibreOutcome(name: string): Outcome {
    const words = (of: (way: Way) => Fibre) =>
      `span ${name}: ${WAYS.map(way => `${way} delay ${of(way).delayPs / 1e3} ns, ${fibreWords(of(way))}`).join(', ')}`;
    const expected = words(way => this.#fibreWanted(name, way));
    const observed = words(way => {
      const { delayPs, loss, ber = 0 } = this.#sim.span(name, way);
      return { delayPs, loss, ber };
    });
    return { expected, observed, verified: expected === observed };
  }

  #setCut(name: string, id: string, cut: { readonly ways: readonly Way[]; readonly light: boolean } | undefined): void {
    const cuts = this.#cuts.get(name) ?? new Map<string, { readonly ways: readonly Way[]; readonly light: boolean }>();
    if (cut) cuts.set(id, cut);
    else cuts.delete(id);
    for (const way of WAYS) {
      const { passing, light } = this.#wanted(name, way);
      const now = this.#sim.span(name, way);
      if (now.passing !== passing || now.light !== light) this.#sim.setSpan(name, way, { passing, light });
    }
  }

  #wanted(name: string, way: Way): { readonly passing: boolean; readonly light: boolean } {
    const found = this.#pristine.get(`${name} ${way}`) ?? { passing: true, light: true };
    const held = [...(this.#cuts.get(name)?.values() ?? [])].filter(({ ways }) => ways.includes(way));
    return { passing: found.passing && held.length === 0, light: found.light && held.every(({ light }) => light) };
  }

  #spanOutcome(name: string): Outcome {
    const wanted = WAYS.map(way => this.#wanted(name, way));
    const read = WAYS.map(way => this.#sim.span(name, way));
    const ends = Object.values(this.#sim.topology.spans).find(span => span.name === name)?.ends ?? [];
    const ports = ends.map(end => this.#port(end));
    const lit =
      wanted.every(({ light }) => light) &&
      ends.every(({ node }) => this.#sim.isUp(node)) &&
      ports.every(({ adminUp }) => adminUp);
    const words = (states: readonly { passing: boolean; light: boolean }[], up: readonly boolean[]) =>
      [
        ...WAYS.map((way, i) => `${way} ${spanWords(states[i] as (typeof states)[number])}`),
        ...ends.map(({ node, port }, i) => `${node} ${port} ${up[i] ? 'up' : 'down'}`),
      ].join(', ');
    const expected = words(
      wanted,
      ports.map(({ operUp }) => lit || operUp),
    );
    const observed = words(
      read,
      ports.map(({ operUp }) => operUp),
    );
    return {
      expected: `span ${name}: ${expected}`,
      observed: `span ${name}: ${observed}`,
      verified: expected === observed,
    };
  }

  // ---- links and switches ----

  #linkDown({ link }: Extract<Fault, { kind: 'link-down' }>, id: string): Effect {
    const sincePs = this.#sim.nowPs;
    const switches = new Set(this.#sim.topology.switches.map(({ name }) => name));
    const end = link.ends.find(({ node }) => switches.has(node)) ?? link.ends[0];
    const holders = this.#shut.get(link.name) ?? new Set<string>();
    this.#shut.set(link.name, holders);
    holders.add(id);
    this.#sim.setAdmin(end.node, end.port, false);
    return {
      witness: () => link.ends.map(side => this.#wentDown(side, sincePs)),
      heal: async () => {
        holders.delete(id);
        const up = holders.size === 0;
        this.#sim.setAdmin(end.node, end.port, up);
        const running = link.ends.every(({ node }) => this.#sim.isUp(node));
        const words = (adminUp: boolean, oper: readonly boolean[]) =>
          `${end.node} ${end.port} admin ${adminUp ? 'up' : 'down'}, ${link.ends.map(({ node, port }, i) => `${node} ${port} oper ${oper[i] ? 'up' : 'down'}`).join(', ')}`;
        const oper = link.ends.map(side => this.#port(side).operUp);
        const expected = words(
          up,
          oper.map(now => (up && running) || now),
        );
        const observed = words(this.#port(end).adminUp, oper);
        return { expected, observed, verified: expected === observed };
      },
    };
  }

  #reboot({ switch: { name: node }, takes }: Extract<Fault, { kind: 'switch-reboot' }>): Effect {
    const sim = this.#sim;
    const sincePs = sim.nowPs;
    const sessions = sim.bgp(node).flatMap(({ port, established }) => (established ? [port] : []));
    const ports = sim.ports(node).flatMap(({ name, operUp }) => (operUp ? [name] : []));
    sim.reboot(node, ps(takes));
    const missing = () => ({
      ports: ports.filter(name => !this.#port({ node, port: name }).operUp),
      sessions: sessions.filter(name => !sim.bgp(node).some(({ port, established }) => port === name && established)),
    });
    const back = () => sim.isUp(node) && Object.values(missing()).every(names => names.length === 0);
    return {
      witness: () => {
        const bootedPs = sim.bootedAtPs(node);
        const rebooted = !sim.isUp(node) || bootedPs >= sincePs;
        const seen = sim.isUp(node) ? `up since ${bootedPs / 1e3} ns` : 'booting';
        return [{ witness: `${node} uptime`, seen, real: rebooted }];
      },
      heal: async () => {
        const establishPs = ps(sim.topology.settings.controlPlane.bgpEstablish);
        if (!back()) await this.#settle(back, ps(takes) + establishPs + REBOOT_GRACE_PS);
        const left = missing();
        const words = (isUp: boolean, up: number, established: number) =>
          `${node} ${isUp ? 'up' : 'booting'}, ${up} ports up, ${established} sessions established`;
        return {
          expected: words(true, ports.length, sessions.length),
          observed: words(sim.isUp(node), ports.length - left.ports.length, sessions.length - left.sessions.length),
          verified: back(),
        };
      },
    };
  }

  // ---- witnesses ----

  #port({ node, port }: { readonly node: string; readonly port: string }): SimPort {
    return this.#sim.ports(node).find(({ name }) => name === port) as SimPort;
  }

  #times(end: { readonly node: string; readonly port: string }, sincePs: number): number {
    return (this.#downs.get(`${end.node} ${end.port}`) ?? []).filter(atPs => atPs >= sincePs).length;
  }

  /** A port that is not down yet proves nothing: detection takes its time. */
  #wentDown(
    end: { readonly node: string; readonly port: string },
    sincePs: number,
  ): Pick<EffectLine, 'witness' | 'seen' | 'real'> {
    const { operUp } = this.#port(end);
    const times = this.#times(end, sincePs);
    const real = !operUp || times > 0 ? true : null;
    return {
      witness: `${end.node} ${end.port} operStatus`,
      seen: `${operUp ? 'up' : 'down'}, went down ${times} times`,
      real,
    };
  }

  #stayedUp(
    end: { readonly node: string; readonly port: string },
    sincePs: number,
  ): Pick<EffectLine, 'witness' | 'seen' | 'real'> {
    const { operUp } = this.#port(end);
    const times = this.#times(end, sincePs);
    return {
      witness: `${end.node} ${end.port} operStatus`,
      seen: `${operUp ? 'up' : 'down'}, went down ${times} times`,
      real: operUp && times === 0,
    };
  }
}

const spanWords = ({ passing, light }: { readonly passing: boolean; readonly light: boolean }): string =>
  `${passing ? 'passing' : 'dark to frames'}, light ${light ? 'on' : 'off'}`;

const fibreWords = ({ loss, ber }: Pick<Fibre, 'loss' | 'ber'>): string => `loss ${loss}, bit errors ${ber}`;
