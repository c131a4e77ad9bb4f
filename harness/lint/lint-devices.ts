import type {
  DeviceConfiguration,
  HostConfiguration,
  Read,
  SpanBoxConfiguration,
  SwitchConfiguration,
} from '../model/device-configuration.ts';
import type { Finding, Judged, Subject } from './finding.ts';
import type { LintedCable, LintedFabric } from './linted-fabric.ts';
import { mtuOfCable, type PortMtu } from './mtu.ts';
import { shaper } from './shaper.ts';
import { unread } from './unread.ts';
import { switchBfd, switchBuffers, switchEcn } from './switch-settings.ts';

/** Why a device was not read. */
export interface Unreached {
  readonly device: string;
  readonly why: string;
}

/** What devices are configured as against what is declared of them, and against their cables. Cables and devices go by the same names. */
export function lintDevices(
  fabric: LintedFabric,
  found: readonly DeviceConfiguration[],
  unreached: readonly Unreached[] = [],
): readonly Finding[] {
  const boxes = new Map<string, SpanBoxConfiguration>();
  const switches = new Map<string, SwitchConfiguration>();
  const hosts = new Map<string, HostConfiguration>();
  for (const one of found) {
    if (one.kind === 'span-box') boxes.set(one.device, one);
    else if (one.kind === 'switch') switches.set(one.device, one);
    else hosts.set(one.device, one);
  }
  const { spans, links, settings } = fabric;
  return [
    ...spans.flatMap(span => ofSpan(span)),
    ...links.flatMap(link => as({ kind: 'link', name: link.name }, mtuOfCable(link, mtuAt, settings))),
    ...[...switches.values()].flatMap(one =>
      as({ kind: 'device', name: one.device }, [
        ...switchEcn(one, settings),
        ...switchBfd(one, settings),
        ...switchBuffers(one, fabric),
      ]),
    ),
    ...unreached.flatMap(({ device, why }) => as({ kind: 'device', name: device }, [notRead(why)])),
  ];

  function ofSpan(span: LintedCable): readonly Finding[] {
    return as({ kind: 'span', name: span.name }, [...ofBox(span), ...mtuOfCable(span, mtuAt, settings)]);
  }

  function ofBox(span: LintedCable): readonly Judged[] {
    if (span.box === undefined) return [];
    const box = boxes.get(span.box.device);
    if (box !== undefined) return shaper(span, box, settings);
    const why = `${span.box.device} was not asked`;
    return [unread('netem delay', why), unread('netem limit', why)];
  }

  function mtuAt(device: string, port: string): PortMtu | undefined {
    const host = hosts.get(device);
    if (host !== undefined) return { isHost: true, mtu: host.mtuBytes };
    const one = switches.get(device);
    if (one === undefined) return undefined;
    const mtu: Read<number> = 'unread' in one.mtuBytes ? one.mtuBytes : valueOr(one.mtuBytes.value.get(port), port);
    return { isHost: false, mtu };
  }
}

const valueOr = (mtu: number | null | undefined, port: string): Read<number> =>
  typeof mtu === 'number' ? { value: mtu } : { unread: `it shows no MTU of ${port}` };

const as = (subject: Subject, judged: readonly Judged[]): readonly Finding[] =>
  judged.map(one => ({ subject, ...one }));

function notRead(why: string): Judged {
  const [first = '', ...rest] = why.split('\n');
  return {
    check: 'configuration',
    severity: 'unknown',
    value: null,
    needed: null,
    formula: `not read: ${first}`,
    source: 'the device itself',
    advice: rest.join(' ').trim(),
  };
}
