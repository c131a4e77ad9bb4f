import { flapProgram, impairmentCommand, lightCommand, netemLimit } from '../drivers/netem-span.ts';
import { REBOOT_COMMAND, setPortCommand } from '../drivers/sonic-switch.ts';
import type { Fault } from '../model/fault.ts';
import type { PortRef } from '../model/topology.ts';
import { magnitude } from '../model/units.ts';
import type { DevicePort, Solution } from './solver.ts';

/** What one device is told for a fault, and how a person would undo it by hand. */
export interface DeviceAction {
  readonly device: string;
  readonly commands: readonly string[];
  readonly undo: readonly string[];
  /** What is read afterwards to see that the undo worked. */
  readonly readBack: readonly string[];
}

export type Way = 'a-to-b' | 'b-to-a';

/** Both directions, or the one. */
export const waysOf = (direction: 'both' | Way): readonly Way[] =>
  direction === 'both' ? ['a-to-b', 'b-to-a'] : [direction];

/** The direction as the shaper counts it: an inventory may write a span's ends the other way round. */
export const wayAt = (way: Way, reversed: boolean): Way => (reversed ? (way === 'a-to-b' ? 'b-to-a' : 'a-to-b') : way);

/** A span box shapes on egress: `eth2` leads to the second end, `eth1` to the first (`docs/emulated-lab.md`). */
const egress = (way: Way): string => (way === 'a-to-b' ? 'eth2' : 'eth1');

/** The driver's own command where the delay is known; else the same with a letter for what a run would read first. */
function setNetem(
  way: Way,
  options: { readonly delayNs: number | undefined; readonly loss: number; readonly rateBps: number },
): string {
  const { delayNs, loss, rateBps } = options;
  const device = egress(way);
  if (delayNs === undefined) {
    return `tc qdisc replace dev ${device} root netem limit LIMIT delay DELAY${loss > 0 ? ` loss ${loss * 100}%` : ''}`;
  }
  const limitPackets = netemLimit({ rateBps, delayNs, mtuBytes: 1024 });
  return impairmentCommand({ device, delayNs, loss, limitPackets });
}

/**
 * The commands of a fault, device by device, as `farspan plan` prints them and as a person would type them; nothing is sent.
 * `delayNs` is what the shaper holds now; where it is not known, DELAY and LIMIT stand for what a run reads first and keeps.
 */
export function describeFault(
  fault: Fault,
  solution: Solution,
  options: { readonly delayNs?: (span: string, way: Way) => number | undefined } = {},
): readonly DeviceAction[] {
  if (fault.kind === 'span-cut' || fault.kind === 'span-flap') {
    const place = solution.spans.get(fault.span.name);
    if (!place) return [];
    const ways = fault.kind === 'span-cut' ? waysOf(fault.direction) : waysOf('both');
    const boxWays = ways.map(way => ({ way, box: wayAt(way, place.reversed) }));
    const dark = boxWays.map(({ box }) => lightCommand(egress(box), 'off'));
    const lit = boxWays.map(({ box }) => lightCommand(egress(box), 'on'));
    const netem = (loss: number): string[] =>
      boxWays.map(({ way, box }) =>
        setNetem(box, { delayNs: options.delayNs?.(fault.span.name, way), loss, rateBps: magnitude(fault.span.rate) }),
      );
    const lost = fault.light === 'lost';
    const [down, up] = lost ? [dark, lit] : [netem(1), netem(0)];
    const readBack = boxWays.map(({ box }) =>
      lost ? `ip -j -s link show dev ${egress(box)}` : `tc -j -s qdisc show dev ${egress(box)}`,
    );
    if (fault.kind === 'span-cut') return [{ device: place.device, commands: down, undo: up, readBack }];
    const program = flapProgram({ everyNs: magnitude(fault.every), downNs: magnitude(fault.down), down, up });
    const loop = `setsid nohup ${program} > /dev/null 2>&1 < /dev/null & echo $!`;
    return [{ device: place.device, commands: [loop], undo: ['kill PID', ...up], readBack }];
  }
  if (fault.kind === 'span-degrade') {
    const place = solution.spans.get(fault.span.name);
    if (!place) return [];
    const boxWays = waysOf(fault.direction).map(way => ({ way, box: wayAt(way, place.reversed) }));
    const netem = (loss: number): string[] =>
      boxWays.map(({ way, box }) =>
        setNetem(box, { delayNs: options.delayNs?.(fault.span.name, way), loss, rateBps: magnitude(fault.span.rate) }),
      );
    const readBack = boxWays.map(({ box }) => `tc -j -s qdisc show dev ${egress(box)}`);
    const share = 'loss' in fault.amount ? magnitude(fault.amount.loss) : 0;
    return [{ device: place.device, commands: netem(share), undo: netem(0), readBack }];
  }
  // Refused by every lab.
  if (fault.kind === 'protection-switch') return [];
  if (fault.kind === 'link-down') {
    const { device, port } = steeredEnd(fault.link.ends, solution);
    return [
      {
        device,
        commands: [setPortCommand(port, 'down')],
        undo: [setPortCommand(port, 'up')],
        readBack: ['show interfaces status'],
      },
    ];
  }
  const device = solution.devices.get(fault.switch.name) ?? fault.switch.name;
  return [{ device, commands: [REBOOT_COMMAND], undo: [], readBack: ['cat /proc/uptime'] }];
}

/** The end of a link that is steered: the first that a switch holds. */
export function steeredEnd(
  ends: readonly [PortRef, PortRef],
  solution: Solution,
): DevicePort & { readonly ref: PortRef } {
  const ref = ends.find(({ node }) => solution.switches.has(node)) ?? ends[0];
  return { ...solution.port(ref), ref };
}

/** The undo of a fault as lines that a person can type: `span-north: ip link set dev eth2 up`. */
export function manualUndo(
  fault: Fault,
  solution: Solution,
  options: Parameters<typeof describeFault>[2] = {},
): string {
  const actions = describeFault(fault, solution, options).flatMap(({ device, undo }) =>
    undo.map(command => `on ${device}: ${command}`),
  );
  return (
    actions.join('; ') ||
    `see that ${fault.kind === 'switch-reboot' ? (solution.devices.get(fault.switch.name) ?? fault.switch.name) : 'the device'} comes back; power it on`
  );
}
