import type { ShaperState } from '../binding/span-shaper.ts';
import { endJobLines } from '../drivers/device-guard.ts';
import { flapProgram, impairmentCommand, lightCommand, netemLimit, restoreCommand } from '../drivers/netem-span.ts';
import { REBOOT_COMMAND, setPortCommand } from '../drivers/sonic-switch.ts';
import { faultRulesOf } from '../faults/fault-rules.ts';
import type { Blast, Fault } from '../model/fault.ts';
import type { PortRef } from '../model/topology.ts';
import { magnitude } from '../model/units.ts';
import type { DevicePort, Solution } from './solver.ts';

/** An object of a device as it was found before the first write. Its read-back must be this again. */
export type Found =
  | { readonly kind: 'shaper'; readonly way: Way; readonly state: ShaperState }
  | { readonly kind: 'port'; readonly port: string; readonly adminUp: boolean }
  /** The device itself: it answers, its ports are as they were. */
  | { readonly kind: 'device'; readonly ports: Readonly<Record<string, boolean>>; readonly boot?: string };

/**
 * What a fault does to one device, as data: what is sent, what undoes it exactly, and what must be read after that. The journal holds
 * it, `farspan plan` prints it, the device's timer and `farspan recover` run the same undo as the run itself.
 */
export interface DeviceChange {
  readonly device: string;
  readonly blast: Blast;
  readonly commands: readonly string[];
  /** Idempotent; restores what was found and touches nothing else. Empty: the device comes back by itself. */
  readonly undo: readonly string[];
  /** What a person reads to see that the undo worked. */
  readonly readBack: readonly string[];
  readonly found: readonly Found[];
}

export type Way = 'a-to-b' | 'b-to-a';

/** Both directions, or the one. */
export const waysOf = (direction: 'both' | Way): readonly Way[] =>
  direction === 'both' ? ['a-to-b', 'b-to-a'] : [direction];

/** The direction as the shaper counts it: an inventory may write a span's ends the other way round. */
export const wayAt = (way: Way, reversed: boolean): Way => (reversed ? (way === 'a-to-b' ? 'b-to-a' : 'a-to-b') : way);

/** A span box shapes on egress: `eth2` leads to the second end, `eth1` to the first (`docs/emulated-lab.md`). */
export const egress = (way: Way): string => (way === 'a-to-b' ? 'eth2' : 'eth1');

/** What is known of the devices when a change is made: nothing yet for `farspan plan`. */
export interface Known {
  /** By the topology's sense of direction. */
  readonly shaper?: (span: string, way: Way) => ShaperState;
  readonly adminUp?: (ref: PortRef) => boolean;
  /** Id of the boot that a reboot ends, where the device tells. */
  readonly boot?: string;
  /** Id of the job that a flap is; JOB stands for it in a plan. */
  readonly job?: string;
}

type SpanFault = Extract<Fault, { span: unknown }>;

/** Where the shaper's state is not known yet, DELAY and LIMIT stand for what a run reads first and keeps. */
function setNetem(
  way: Way,
  { was, loss, rateBps }: { readonly was: ShaperState | undefined; readonly loss: number; readonly rateBps: number },
): string {
  const device = egress(way);
  if (was === undefined)
    return `tc qdisc replace dev ${device} root netem limit LIMIT delay DELAY${loss > 0 ? ` loss ${loss * 100}%` : ''}`;
  const enough = netemLimit({ rateBps, delayNs: was.delayNs, mtuBytes: 1024 });
  const limitPackets = Math.max(enough, was.queue.kind === 'netem' ? (was.queue.limitPackets ?? 0) : 0);
  return impairmentCommand({ device, delayNs: was.delayNs, loss, limitPackets });
}

function spanChange(
  fault: SpanFault,
  options: { readonly ways: readonly Way[]; readonly solution: Solution; readonly known: Known },
): readonly DeviceChange[] {
  const { ways, solution, known } = options;
  const place = solution.spans.get(fault.span.name);
  if (!place) return [];
  const rateBps = magnitude(fault.span.rate);
  const boxes = ways.map(way => ({ box: wayAt(way, place.reversed), was: known.shaper?.(fault.span.name, way) }));
  const lost = 'light' in fault && fault.light === 'lost';
  const share = 'amount' in fault && 'loss' in fault.amount ? magnitude(fault.amount.loss) : 1;
  const down = boxes.map(({ box, was }) =>
    lost ? lightCommand(egress(box), 'off') : setNetem(box, { was, loss: share, rateBps }),
  );
  const up = boxes.map(({ box, was }) => {
    if (lost) return lightCommand(egress(box), (was?.light ?? true) ? 'on' : 'off');
    return was === undefined ? setNetem(box, { was, loss: 0, rateBps }) : restoreCommand(egress(box), was);
  });
  const change = {
    device: place.device,
    blast: faultRulesOf(fault).blast,
    readBack: boxes.map(({ box }) =>
      lost ? `ip -j -s link show dev ${egress(box)}` : `tc -j -s qdisc show dev ${egress(box)}`,
    ),
    found: boxes.flatMap(({ box, was }) =>
      was === undefined ? [] : [{ kind: 'shaper' as const, way: box, state: was }],
    ),
  };
  if (fault.kind !== 'span-flap') return [{ ...change, commands: down, undo: up }];
  const program = flapProgram({ everyNs: magnitude(fault.every), downNs: magnitude(fault.down), down, up });
  return [{ ...change, commands: [program], undo: [...endJobLines(known.job ?? 'JOB', '/dev/null'), ...up] }];
}

/** What a fault does, device by device. Pure; nothing is sent. Empty for a fault that no lab can play. */
export function changesOf(fault: Fault, solution: Solution, known: Known = {}): readonly DeviceChange[] {
  const { blast } = faultRulesOf(fault);
  switch (fault.kind) {
    case 'span-cut':
    case 'span-degrade':
      return spanChange(fault, { ways: waysOf(fault.direction), solution, known });
    case 'span-flap':
      return spanChange(fault, { ways: waysOf('both'), solution, known });
    case 'link-down': {
      const { device, port, ref } = steeredEnd(fault.link.ends, solution);
      const adminUp = known.adminUp?.(ref);
      const undo = [setPortCommand(port, (adminUp ?? true) ? 'up' : 'down')];
      const found = adminUp === undefined ? [] : [{ kind: 'port' as const, port, adminUp }];
      return [
        { device, blast, commands: [setPortCommand(port, 'down')], undo, readBack: ['show interfaces status'], found },
      ];
    }
    case 'switch-reboot': {
      const device = solution.devices.get(fault.switch.name) ?? fault.switch.name;
      const { adminUp, boot } = known;
      const ports = solution
        .portsOf(fault.switch.name)
        .map(({ name, port }) => [port, { node: fault.switch.name, port: name }] as const);
      const found = adminUp
        ? [
            {
              kind: 'device' as const,
              ports: Object.fromEntries(ports.map(([port, ref]) => [port, adminUp(ref)])),
              ...(boot !== undefined && { boot }),
            },
          ]
        : [];
      return [{ device, blast, commands: [REBOOT_COMMAND], undo: [], readBack: ['cat /proc/uptime'], found }];
    }
    default:
      return [];
  }
}

/** The end of a link that is steered: the first that a switch holds. */
export function steeredEnd(
  ends: readonly [PortRef, PortRef],
  solution: Solution,
): DevicePort & { readonly ref: PortRef } {
  const ref = ends.find(({ node }) => solution.switches.has(node)) ?? ends[0];
  return { ...solution.port(ref), ref };
}

/** The undo of a fault as lines that a person can type: `on span-north: ip link set dev eth2 up`. */
export const manualUndo = (changes: readonly DeviceChange[]): string =>
  changes
    .flatMap(({ device, undo }) =>
      undo.length === 0
        ? [`see that ${device} comes back; power it on`]
        : undo.map(command => `on ${device}: ${command}`),
    )
    .join('; ');
