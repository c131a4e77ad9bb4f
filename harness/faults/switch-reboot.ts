import type { Fault } from '../model/fault.ts';
import type { CountersLine, PortCounters } from '../model/record.ts';
import type { SwitchNode } from '../model/topology.ts';
import { type Duration, magnitude } from '../model/units.ts';
import { type FaultRules, unknown, witnessed } from './evidence.ts';
import { recoveryBudgetNs } from './recovery-budget.ts';

type SwitchReboot = Extract<Fault, { kind: 'switch-reboot' }>;

/** A switch reboots and is gone for about `takes`. */
export const reboot = (node: SwitchNode, { takes }: { readonly takes: Duration }): SwitchReboot => ({
  kind: 'switch-reboot',
  switch: node,
  takes,
});

export const switchRebootRules: FaultRules<SwitchReboot> = {
  blast: 'device',
  settles: (fault, { links, spans }) =>
    [...links, ...Object.values(spans)].flatMap(({ ends }) =>
      ends.some(({ node }) => node === fault.switch.name) ? ends : [],
    ),
  describe: fault => `reboot of ${fault.switch.name}`,

  /** The witnesses (uptime fell back), else a counter that is smaller than it was: it restarted with the switch. */
  evidence(fault, { effects, counters, baseline }) {
    const word = witnessed(effects);
    if (word) return word;
    const readings = [...baseline, ...counters].filter(line => line.node === fault.switch.name);
    const restarted = readings.some((reading, i) => i > 0 && fellBack(readings[i - 1] as CountersLine, reading));
    if (restarted) return { real: true, reason: `the counters of ${fault.switch.name} started again` };
    return unknown(effects, `that ${fault.switch.name} rebooted`);
  },

  /** Its absence, one recovery when it goes and one when it is back, and its sessions coming up. */
  budgetNs: ({ takes }, { settings }) =>
    magnitude(takes) + magnitude(settings.controlPlane.bgpEstablish) + 2 * recoveryBudgetNs(settings),
};

const RISING = ['rxBytes', 'txBytes', 'rxPackets', 'txPackets'] as const satisfies readonly (keyof PortCounters)[];

/** A counter that began anew did so for any of several reasons, such as a clear. */
const fellBack = (before: CountersLine, after: CountersLine): boolean =>
  Object.entries(before.ports).some(([port, counters]) =>
    RISING.filter(name => !after.anew?.[port]?.includes(name)).some(
      name => (after.ports[port]?.[name] ?? Number.POSITIVE_INFINITY) < (counters[name] ?? 0),
    ),
  );
