import type { LldpNeighbor, PortStatus } from '../../binding/switch.ts';
import { label } from '../../drivers/device-text.ts';
import type { Inventory } from '../inventory.ts';
import type { Finding } from './doctor-line.ts';

interface Expected {
  readonly port: string;
  readonly far: { readonly device: string; readonly port: string };
  /** The box of a span between them. */
  readonly box?: string;
  /** Where the inventory says so: `lab.yaml:14:5`. */
  readonly where: string;
}

/** Ports that carry management, not data: their cables stand in no inventory. */
const MANAGEMENT = /^(eth0|mgmt\S*|ma\d+|Management\S*|fxp0|me0)$/i;

function expectedAt(inventory: Inventory, device: string): readonly Expected[] {
  const cables = [
    ...inventory.links.map((link, i) => ({ ends: link.ends, box: undefined, path: ['links', i] })),
    ...inventory.spans.map((span, i) => ({ ends: span.ends, box: span.device, path: ['spans', i] })),
  ];
  return cables.flatMap(({ ends, box, path }) =>
    ends.flatMap((end, side) => {
      const [name, port = ''] = end.split(' ');
      if (name !== device) return [];
      const [farName = '', farPort = ''] = (ends[1 - side] ?? '').split(' ');
      return [
        {
          port,
          far: { device: farName, port: farPort },
          ...(box !== undefined && { box }),
          where: inventory.where(path),
        },
      ];
    }),
  );
}

/** Cables beyond the inventory that are told one by one: a device may make up as many neighbours as it likes. */
const MOST_EXTRA = 20;

/** LLDP tells host names, which may be qualified. */
const sameDevice = (a: string, b: string): boolean =>
  a.toLowerCase() === b.toLowerCase() || a.toLowerCase().split('.')[0] === b.toLowerCase().split('.')[0];

/** Hosts often tell a MAC in place of a port's name. */
const isMac = (port: string): boolean => /^([0-9a-f]{2}[:.-]?){5}[0-9a-f]{2}$/i.test(port);

const matches = ({ device, remotePort }: LldpNeighbor, far: Expected['far']): boolean =>
  sameDevice(device, far.device) && (remotePort === far.port || isMac(remotePort));

/**
 * What a switch sees by LLDP against the links and spans of the inventory; the ends of a span see each other through its box. Pure.
 *
 * A neighbour that is missing behind a port that is down is a bad cable; behind one that is up it does not speak LLDP, which is unknown.
 */
export function checkCabling(
  device: string,
  {
    inventory,
    neighbors,
    ports,
  }: {
    readonly inventory: Inventory;
    readonly neighbors: readonly LldpNeighbor[];
    readonly ports: ReadonlyMap<string, Pick<PortStatus, 'operUp'>>;
  },
): readonly Finding[] {
  const expected = expectedAt(inventory, device);
  const seenAt = new Map(neighbors.map(neighbor => [neighbor.port, neighbor]));
  const findings: Finding[] = [];
  const told = new Set<string>();
  let right = 0;
  for (const cable of expected) {
    const seen = seenAt.get(cable.port);
    if (seen && matches(seen, cable.far)) right++;
    else if (!told.has(cable.port)) {
      const other = seen && swapped(cable, seen, { expected, seenAt });
      if (other) told.add(other.port);
      findings.push(
        other
          ? swap(device, cable, other)
          : seen
            ? wrong(device, cable, seen)
            : missing(cable, ports.get(cable.port)?.operUp),
      );
    }
  }
  const cabled = new Set(expected.map(({ port }) => port));
  const extras = neighbors.filter(({ port }) => !MANAGEMENT.test(port) && !cabled.has(port));
  findings.push(...extras.slice(0, MOST_EXTRA).map(extra));
  if (extras.length > MOST_EXTRA) findings.push(moreExtra(extras.length - MOST_EXTRA));
  const cables = `${right} of ${expected.length} ${expected.length === 1 ? 'cable' : 'cables'} as the inventory says`;
  return findings.length > 0 ? findings : [{ check: 'cabling', ok: true, detail: cables }];
}

/** The cable that is plugged in this one's place, when this one is in its place. */
function swapped(
  { port, far }: Expected,
  seen: LldpNeighbor,
  { expected, seenAt }: { readonly expected: readonly Expected[]; readonly seenAt: ReadonlyMap<string, LldpNeighbor> },
): Expected | undefined {
  return expected.find(other => {
    const there = seenAt.get(other.port);
    return other.port !== port && matches(seen, other.far) && there !== undefined && matches(there, far);
  });
}

const ends = ({ device, port }: Expected['far']): string => `${device} ${port}`;

const swap = (device: string, cable: Expected, other: Expected): Finding => ({
  check: 'cabling',
  ok: false,
  detail: `${cable.port} and ${other.port} are swapped: ${cable.port} sees ${ends(other.far)}, ${other.port} sees ${ends(cable.far)}`,
  fix: `Swap the two cables at ${device}, or the ends in the inventory (${cable.where} and ${other.where}).`,
});

function wrong(device: string, { port, far, box, where }: Expected, seen: LldpNeighbor): Finding {
  const own = box !== undefined && sameDevice(seen.device, box);
  return {
    check: 'cabling',
    ok: false,
    detail: `${port} sees ${label(seen.device)} ${label(seen.remotePort)}, the inventory says ${ends(far)}`,
    fix: own
      ? `The span box ${box} answers LLDP itself. Stop its lldpd, and let it pass LLDP on: it must be as a fibre is.`
      : `Plug the cable of ${device} ${port} into ${ends(far)}, or correct ${where}.`,
  };
}

function missing({ port, far, box, where }: Expected, operUp: boolean | undefined): Finding {
  const over = box === undefined ? '' : ` over ${box}`;
  if (operUp === false)
    return {
      check: 'cabling',
      ok: false,
      detail: `${port} is down; ${ends(far)}${over} should be there`,
      fix: `Check cable and optics at both ends, and that both ports are up. If the cable is gone, correct ${where}.`,
    };
  return {
    check: 'cabling',
    ok: 'unknown',
    detail: `${port} ${operUp ? 'is up and' : 'is not listed and'} sees no neighbour; ${ends(far)}${over} should be there`,
    fix:
      box === undefined
        ? `Run lldpd on ${far.device}, so that the cable can be checked.`
        : `Let ${box} pass LLDP on (a bridge needs group_fwd_mask 0x4000), and run lldpd on ${far.device}.`,
  };
}

const extra = ({ port, device, remotePort }: LldpNeighbor): Finding => ({
  check: 'cabling',
  ok: false,
  detail: `${label(port)} sees ${label(device)} ${label(remotePort)}, and the inventory has no cable there`,
  fix: 'Unplug it, or write it down: farspan doctor --discover drafts it.',
});

const moreExtra = (count: number): Finding => ({
  check: 'cabling',
  ok: false,
  detail: `${count} more neighbours that the inventory has no cable to`,
  fix: 'Is this the switch of this lab? farspan doctor --discover drafts what it sees.',
});
