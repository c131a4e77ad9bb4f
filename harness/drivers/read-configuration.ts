import { DeviceError } from '../binding/device-error.ts';
import { firstLine } from '../binding/first-line.ts';
import type {
  EcnProfile,
  HostConfiguration,
  Read,
  ShaperConfiguration,
  SpanBoxConfiguration,
  SwitchConfiguration,
} from '../model/device-configuration.ts';
import { label } from './device-text.ts';
import { safeInterface } from './linux/detached-job.ts';
import { parseIpLink, parseTcQdisc } from './linux/iproute2.ts';
import { ParseError, parsed } from './parse-error.ts';
import { parseBfdSummary } from './sonic/bfd.ts';
import { type ConfigTable, configTableCommand, parseConfigTable } from './sonic/config-table.ts';
import { parseInterfaceStatus } from './sonic/interfaces.ts';
import { losslessPoolBytes, portBuffers } from './sonic/port-buffers.ts';
import { parseEcnConfig } from './sonic/routing.ts';
import { output, type Shell } from './ssh.ts';

/** A device whose configuration is read. Nothing here writes. */
export interface ReadFrom {
  readonly name: string;
  readonly shell: Shell;
}

/** What could not be read is said and not guessed; what is no answer of the device is an error of ours. */
async function attempt<T>(read: () => Promise<T>): Promise<Read<T>> {
  try {
    return { value: await read() };
  } catch (error) {
    if (error instanceof DeviceError) return { unread: label(`${error.tried}: ${firstLine(error.answer)}`) };
    throw error;
  }
}

const asks =
  ({ name, shell }: ReadFrom) =>
  async <T>(command: string, parser: (text: string) => T): Promise<T> =>
    parsed({ device: name, tried: command }, parser, await output(shell, command));

/** Delay, loss and queue of both egresses of a Linux span box. */
export async function readSpanBox(
  from: ReadFrom,
  { a, b }: { readonly a: string; readonly b: string } = { a: 'eth1', b: 'eth2' },
): Promise<SpanBoxConfiguration> {
  const ask = asks(from);
  const egress = (device: string): Promise<Read<ShaperConfiguration>> =>
    attempt(async () => {
      const [link, qdisc] = [
        await ask(`ip -j -s link show dev ${safeInterface(device)}`, parseIpLink),
        await ask(`tc -j -s qdisc show dev ${safeInterface(device)}`, parseTcQdisc),
      ];
      const { kind, delayNs, loss, limitPackets, others } = qdisc;
      return { interface: device, queue: kind, delayNs, loss, limitPackets, others, mtuBytes: link.mtuBytes };
    });
  return {
    kind: 'span-box',
    device: from.name,
    ways: { 'a-to-b': await egress(b), 'b-to-a': await egress(a) },
  };
}

const wholeBytes = (text: string | undefined): number | null =>
  text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : null;

function ecnProfiles(text: string): readonly EcnProfile[] {
  // A switch without WRED profiles prints nothing.
  if (text.trim() === '') return [];
  return [...parseEcnConfig(text)].map(([name, settings]) => {
    const percent = wholeBytes(settings.get('green_drop_probability'));
    return {
      name,
      marks: settings.has('ecn') && settings.get('ecn') !== 'ecn_none' && settings.get('wred_green_enable') !== 'false',
      minBytes: wholeBytes(settings.get('green_min_threshold')),
      maxBytes: wholeBytes(settings.get('green_max_threshold')),
      probability: percent === null ? null : percent / 100,
    };
  });
}

/**
 * What a SONiC switch is configured as: ECN, BFD, MTU, and what it reserves for lossless ports.
 *
 * @param priority the lossless one
 */
export async function readSonic(from: ReadFrom, { priority = 3 } = {}): Promise<SwitchConfiguration> {
  const ask = asks(from);
  const table = (name: string): Promise<ConfigTable> => ask(configTableCommand(name), parseConfigTable);
  // One after the other: each is a Python start on a real switch.
  const ecn = await attempt(() => ask('ecnconfig -l', ecnProfiles));
  const bfd = await attempt(() => ask('show bfd summary', parseBfdSummary));
  const mtuBytes = await attempt(
    async () =>
      new Map(
        (await ask('show interfaces status', parseInterfaceStatus)).map(({ port, mtuBytes }) => [port, mtuBytes]),
      ),
  );
  const buffers = await attempt(async () => {
    const tables = {
      groups: await table('BUFFER_PG'),
      profiles: await table('BUFFER_PROFILE'),
      cables: await table('CABLE_LENGTH'),
      qos: await table('PORT_QOS_MAP'),
    };
    return parsed({ device: from.name, tried: 'reading its buffer tables' }, () => portBuffers(tables, priority), '');
  });
  const poolBytes = await attempt(() =>
    ask(configTableCommand('BUFFER_POOL'), text => losslessPoolBytes(parseConfigTable(text))),
  );
  return { kind: 'switch', device: from.name, ecn, bfd, mtuBytes, buffers, poolBytes };
}

/** MTU of a host's NIC. */
export async function readHost(from: ReadFrom, { nic = 'eth0' } = {}): Promise<HostConfiguration> {
  return {
    kind: 'host',
    device: from.name,
    mtuBytes: await attempt(() =>
      asks(from)(`cat /sys/class/net/${safeInterface(nic)}/mtu`, text => {
        const found = wholeBytes(text.trim());
        if (found === null) throw new ParseError('an MTU', text);
        return found;
      }),
    ),
  };
}
