import type { Blast, Fault } from '../model/fault.ts';
import type { CountersLine, EffectLine, ProbeLine } from '../model/record.ts';
import type { FabricSettings, PortRef, Topology } from '../model/topology.ts';

/** Whether a fault was in effect. `real` is null when nothing in the record can tell. */
export interface Evidence {
  readonly real: boolean | null;
  readonly reason: string;
}

/** Everything in the record that bears on one fault. */
export interface Seen {
  readonly effects: readonly EffectLine[];
  /** Probe flows of the phases in which it was true. */
  readonly probes: readonly ProbeLine[];
  /** Readings while it was true, in order. */
  readonly counters: readonly CountersLine[];
  /** The last reading of each device before it was injected. */
  readonly baseline: readonly CountersLine[];
}

export interface FaultRules<F extends Fault = Fault> {
  /** How far it reaches, and its undo as well. */
  readonly blast: Blast;
  /**
   * The settle predicate of its undo: ports that must be operationally up again, where they were before, until what is measured next
   * says anything of the fabric. Empty: the read-back of the device is all.
   */
  settles(fault: F, topology: Topology): readonly PortRef[];
  /** The fault in words: `cut of span north`. */
  describe(fault: F): string;
  /** Was it real? Every kind declares the effect that it must have. Pure. */
  evidence(fault: F, seen: Seen): Evidence;
  /**
   * What a work phase is granted beyond its work for this fault, ns. Generous: a deadline tells a hung job from a slow one;
   * how slow is too slow is the business of `convergence` and `jobRecovery`.
   *
   * @param workNs the time that the phase is granted for its work alone
   */
  budgetNs(fault: F, options: { readonly settings: FabricSettings; readonly workNs: number }): number;
}

/**
 * The witnesses' word. Any that denies the fault outweighs those that saw it: a fault that is half in effect is not the declared one.
 * Undefined when none could tell.
 */
export function witnessed(effects: readonly EffectLine[]): Evidence | undefined {
  const denied = effects.find(effect => effect.real === false);
  if (denied) return { real: false, reason: `${denied.witness} saw: ${denied.seen}` };
  const sure = effects.filter(effect => effect.real === true);
  if (sure.length === 0) return undefined;
  return { real: true, reason: sure.map(effect => `${effect.witness} saw: ${effect.seen}`).join('; ') };
}

/** Operational state of a port in every reading that has it. */
export const operStates = (counters: readonly CountersLine[], { node, port }: PortRef): readonly boolean[] =>
  counters.flatMap(line => {
    const state = line.node === node && Object.hasOwn(line.ports, port) ? line.ports[port]?.operUp : undefined;
    return typeof state === 'boolean' ? [state] : [];
  });

/** When nothing in the record can tell, said with what the witnesses said. */
export const unknown = (effects: readonly EffectLine[], sought: string): Evidence => ({
  real: null,
  reason: [`nothing shows ${sought}`, ...effects.map(effect => `${effect.witness}: ${effect.seen}`)].join('; '),
});
