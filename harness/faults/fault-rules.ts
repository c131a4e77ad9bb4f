import type { Fault, FaultKind } from '../model/fault.ts';
import type { FaultRules } from './evidence.ts';
import { linkDownRules } from './link-down.ts';
import { protectionSwitchRules } from './protection-switch.ts';
import { spanCutRules } from './span-cut.ts';
import { spanDegradeRules } from './span-degrade.ts';
import { spanFlapRules } from './span-flap.ts';
import { switchRebootRules } from './switch-reboot.ts';

const RULES: { readonly [K in FaultKind]: FaultRules<Extract<Fault, { kind: K }>> } = {
  'span-cut': spanCutRules,
  'span-flap': spanFlapRules,
  'span-degrade': spanDegradeRules,
  'protection-switch': protectionSwitchRules,
  'link-down': linkDownRules,
  'switch-reboot': switchRebootRules,
};

/** The rules of this fault's kind. */
export function faultRulesOf<F extends Fault>(fault: F): FaultRules<F> {
  // The table maps each kind to the rules of that kind; the compiler can not follow the index.
  return RULES[fault.kind] as unknown as FaultRules<F>;
}
