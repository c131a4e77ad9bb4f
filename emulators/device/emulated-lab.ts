import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ed25519Key } from './ed25519-key.ts';
import { stringify } from 'yaml';
import type { CountersLine, PortCounters, ProbeLine, RecordLine } from '../../harness/model/record.ts';
import type { Topology } from '../../harness/model/topology.ts';
import { createFabricSim, type FabricSim, type SimEvent, type SimJob } from '../fabric-sim/index.ts';
import { startClockService } from './clock-service.ts';
import { counterCache } from './counter-cache.ts';
import { dataPlaneClock } from './data-plane-clock.ts';
import { gpuNodes, type StartedProbe } from './gpu-node.ts';
import { labShape, type LabShape, portMac } from './lab-shape.ts';
import type { LinuxBox } from './linux-box.ts';
import { linuxSpan } from './linux-span.ts';
import { startSnmpAgent } from './snmp-agent.ts';
import { SNMP, type SnmpStore } from './snmp-store.ts';
import { encodeTrap, type TrapVarbind } from './snmp-trap.ts';
import { sonicCli } from './sonic-cli.ts';
import { startSshServer, type SshServer } from './ssh-server.ts';
import { switchMib } from './switch-mib.ts';
import { wallClock } from './wall-clock.ts';
import { type EmulatedBox, emulatedBox } from './emulated-box.ts';

export interface EmulatedLabOptions {
  readonly topology: Topology;
  readonly seed: number;
  /** Keys and the inventory are written here; created when absent. */
  readonly directory: string;
  /** Default 1: exact. */
  readonly trainPackets?: number;
  readonly defect?: string;
  /** Data-plane time of a `sudo reboot`, ps. Default 100 ms: a real switch takes minutes, which nobody simulates packet by packet. */
  readonly bootPs?: number;
  /** Virtual seconds per wall second, for people. */
  readonly pace?: number;
  /** TCP and UDP ports are counted up from here; absent: any free ones. */
  readonly portBase?: number;
  /** The SNMP agents refresh their counters once in this much data-plane time, ns, as real ones do. Default: at every request. */
  readonly snmpRefreshNs?: number;
  readonly wallMs?: () => number;
  /** Programs that a device lacks, by its name: `flock`, or `systemd` for all of it. */
  readonly without?: Readonly<Record<string, readonly string[]>>;
}

export interface LabDevice {
  readonly name: string;
  readonly driver: 'sonic' | 'gpu-node' | 'netem-span';
  readonly sshPort: number;
  readonly snmpPort: number | undefined;
  /** `ssh-ed25519 AAAA…` */
  readonly hostKey: string;
  readonly fingerprint: string;
}

export interface EmulatedLab {
  /** Path of the inventory. */
  readonly inventory: string;
  /** What stands in it. */
  readonly inventoryText: string;
  readonly clockUrl: string;
  readonly trapsPort: number;
  readonly devices: readonly LabDevice[];
  readonly sim: FabricSim;
  readonly shape: LabShape;
  /** What is true of a device now, whatever it answers. @throws RangeError when there is none of that name */
  device(name: string): EmulatedBox;
  readonly secrets: {
    readonly user: string;
    readonly keyFile: string;
    readonly knownHostsFile: string;
    readonly community: string;
    readonly snmpAuth: string;
    readonly snmpPrivacy: string;
  };
  close(): Promise<void>;
}

const USER = 'farspan';
const DEFAULT_BOOT_PS = 100e9;
const LINK_DOWN = '1.3.6.1.6.3.1.1.5.3';
const LINK_UP = '1.3.6.1.6.3.1.1.5.4';
const COLD_START = '1.3.6.1.6.3.1.1.5.1';

/** A UDP port that is free now; whoever wants the traps binds it. */
async function freeUdpPort(): Promise<number> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  return port;
}

/** Starts every device of a topology on loopback, and writes the inventory that names them. */
export async function startEmulatedLab(options: EmulatedLabOptions): Promise<EmulatedLab> {
  const { topology, directory } = options;
  const wallMs = options.wallMs ?? (() => performance.now());
  const sim = createFabricSim({
    topology,
    seed: options.seed,
    trainPackets: options.trainPackets ?? 1,
    ...(options.defect !== undefined && { defect: options.defect }),
  });
  const shape = labShape(topology);
  for (const name of Object.keys(options.without ?? {})) shape.identity(name);
  await mkdir(directory, { recursive: true, mode: 0o700 });

  let counted = options.portBase ?? 0;
  const nextPort = (): number => (options.portBase === undefined ? 0 : counted++);
  const closers: (() => Promise<void> | void)[] = [];
  const close = async (): Promise<void> => {
    for (const end of closers.splice(0).toReversed()) await end();
  };
  try {
    return await start();
  } catch (error) {
    await close();
    throw error;
  }

  async function start(): Promise<EmulatedLab> {
    const clientKey = ed25519Key('farspan-emulated-lab');
    const community = `c${randomBytes(12).toString('hex')}`;
    const [snmpAuth, snmpPrivacy] = [randomBytes(16).toString('hex'), randomBytes(16).toString('hex')] as const;
    const files = { keyFile: path.join(directory, 'id_ed25519'), knownHostsFile: path.join(directory, 'known_hosts') };
    const secret = (name: string, text: string): Promise<void> =>
      writeFile(path.join(directory, name), text, { mode: 0o600 });
    await secret('id_ed25519', clientKey.private);
    await secret('community', `${community}\n`);
    await secret('snmp-auth', `${snmpAuth}\n`);
    await secret('snmp-priv', `${snmpPrivacy}\n`);

    const servers = new Map<string, SshServer>();
    const boxes = new Map<string, LinuxBox>();
    let settling: Promise<void> = Promise.resolve();
    /** A device that has no power answers nobody. */
    const onPower = (name: string, power: 'off' | 'on'): void => {
      const server = servers.get(name);
      settling = settling.then(() => (power === 'off' ? server?.down() : server?.up())).catch(() => {});
    };
    const probes: StartedProbe[] = [];
    const jobs: SimJob[] = [];
    const spied: FabricSim = new Proxy(sim, {
      get(target, name) {
        if (name !== 'startJob') return Reflect.get(target, name, target);
        return (load: Parameters<FabricSim['startJob']>[0]): SimJob => {
          const job = target.startJob(load);
          jobs.push(job);
          return job;
        };
      },
    });
    const bootPs = options.bootPs ?? DEFAULT_BOOT_PS;
    const surroundings = { wall: wallClock(wallMs), instance: randomBytes(8).toString('hex') };
    const without = (name: string): ReadonlySet<string> => new Set(options.without?.[name]);
    const nodes = gpuNodes({
      ...surroundings,
      sim: spied,
      shape,
      bootPs,
      without,
      onProbe: probe => void probes.push(probe),
      onPower,
    });
    const clock = dataPlaneClock({ sim, wallMs, ...(options.pace !== undefined && { pace: options.pace }) });
    closers.push(() => clock.close());

    const devices: LabDevice[] = [];
    const ssh = async (box: LinuxBox, prompt: string): Promise<SshServer> => {
      const { name, exec } = box;
      boxes.set(name, box);
      closers.push(() => box.close());
      const hostKey = ed25519Key(name);
      const server = await startSshServer({
        device: { name, exec, prompt, banner: `Farspan emulated ${name}. Its time is virtual.\n` },
        port: nextPort(),
        user: USER,
        hostKey: hostKey.private,
        authorizedKeys: [clientKey.public],
      });
      servers.set(name, server);
      closers.push(() => server.close());
      return server;
    };

    const startedMs = wallMs();
    const boots = new Map<string, number>();
    const bootedWallMs = new Map<string, number>();
    let change = 0;
    const switches = [];
    for (const { name, role, site } of topology.switches) {
      const box = sonicCli({ ...surroundings, sim, shape, node: name, bootPs, without: without(name) });
      const server = await ssh(box, `${USER}@${name}:~$ `);
      let store: SnmpStore | undefined;
      let seen = -1;
      const refresh =
        options.snmpRefreshNs === undefined
          ? undefined
          : counterCache({
              refreshNs: options.snmpRefreshNs,
              nowNs: () => sim.nowPs / 1e3,
              bootedNs: () => sim.bootedAtPs(name) / 1e3,
            });
      const agent = await startSnmpAgent({
        port: nextPort(),
        community,
        users: [{ name: USER, auth: 'sha256', authKey: snmpAuth, privacy: 'aes', privacyKey: snmpPrivacy }],
        // 0x80, then net-snmp's enterprise 8072, format 4 (text): RFC 3411 section 5.
        engineId: Buffer.concat([Buffer.from('80001f8804', 'hex'), Buffer.from(shape.identity(name).serial)]),
        isUp: () => sim.isUp(name),
        engineBoots: () => boots.get(name) ?? 1,
        engineSeconds: () => Math.floor((wallMs() - (bootedWallMs.get(name) ?? startedMs)) / 1000),
        store() {
          if (store === undefined || seen !== change) {
            const live = switchMib({ sim, shape, node: name, engineBoots: () => boots.get(name) ?? 1 });
            store = refresh === undefined ? live : refresh(live);
          }
          seen = change;
          return store;
        },
      });
      closers.push(() => agent.close());
      switches.push({ name, role, site, server, agent });
      devices.push({
        name,
        driver: 'sonic',
        sshPort: server.port,
        snmpPort: agent.port,
        hostKey: server.publicKey,
        fingerprint: server.fingerprint,
      });
    }
    for (const { name } of topology.hosts) {
      const node = nodes.get(name);
      if (!node) throw new Error(`No GPU node was made for ${name}.`);
      const server = await ssh(node.box, `root@${name}:~# `);
      devices.push({
        name,
        driver: 'gpu-node',
        sshPort: server.port,
        snmpPort: undefined,
        hostKey: server.publicKey,
        fingerprint: server.fingerprint,
      });
    }
    for (const span of Object.values(topology.spans)) {
      const name = shape.spanBox(span.name);
      const onSpanPower = (power: 'off' | 'on'): void => onPower(name, power);
      const box = linuxSpan({
        ...surroundings,
        sim,
        shape,
        span,
        bootPs,
        without: without(name),
        onPower: onSpanPower,
      });
      const server = await ssh(box, `root@${name}:~# `);
      devices.push({
        name: box.name,
        driver: 'netem-span',
        sshPort: server.port,
        snmpPort: undefined,
        hostKey: server.publicKey,
        fingerprint: server.fingerprint,
      });
    }

    const trapsPort = options.portBase === undefined ? await freeUdpPort() : nextPort();
    const trapSocket = createSocket('udp4');
    trapSocket.on('error', () => {});
    closers.push(() => void trapSocket.close());
    let requestId = 0;
    const trap = (node: string, trapOid: string, varbinds: readonly TrapVarbind[]): void => {
      const datagram = encodeTrap({
        community,
        requestId: ++requestId,
        upTime: Math.max(0, Math.floor((sim.nowPs - sim.bootedAtPs(node)) / 1e10)),
        trapOid,
        // All devices share one loopback address: snmpTrapAddress (RFC 3584 section 3.1) and sysName say who it was.
        varbinds: [
          ...varbinds,
          { oid: '1.3.6.1.6.3.18.1.3.0', type: SNMP.ipAddress, value: shape.address(node) },
          { oid: '1.3.6.1.2.1.1.5.0', type: SNMP.octets, value: Buffer.from(node) },
        ],
      });
      trapSocket.send(datagram, trapsPort, '127.0.0.1', () => {});
    };
    const linkTrap = ({ node, port, kind }: SimEvent): void => {
      const found = shape.ports(node).find(candidate => candidate.port === port);
      const now = sim.ports(node).find(({ name }) => name === port);
      if (!found || !now) return;
      const row = (oid: string, value: number): TrapVarbind => ({
        oid: `${oid}.${found.ifIndex}`,
        type: SNMP.integer,
        value,
      });
      trap(node, kind === 'link-up' ? LINK_UP : LINK_DOWN, [
        row('1.3.6.1.2.1.2.2.1.1', found.ifIndex),
        row('1.3.6.1.2.1.2.2.1.7', now.adminUp ? 1 : 2),
        row('1.3.6.1.2.1.2.2.1.8', now.operUp ? 1 : 2),
        { oid: `1.3.6.1.2.1.31.1.1.1.1.${found.ifIndex}`, type: SNMP.octets, value: Buffer.from(found.devicePort) },
      ]);
    };

    const isSwitch = new Set(topology.switches.map(({ name }) => name));
    sim.onEvent(event => {
      change++;
      if (!isSwitch.has(event.node)) return;
      if (event.kind === 'booting' || event.kind === 'booted') {
        onPower(event.node, event.kind === 'booting' ? 'off' : 'on');
      }
      if (event.kind === 'booted') {
        boots.set(event.node, (boots.get(event.node) ?? 1) + 1);
        bootedWallMs.set(event.node, wallMs());
        trap(event.node, COLD_START, []);
      }
      if ((event.kind === 'link-down' || event.kind === 'link-up') && sim.isUp(event.node)) linkTrap(event);
    });

    const service = await startClockService({
      clock,
      port: nextPort(),
      job: (host, pid) => nodes.get(host)?.job(pid),
      truth: () => truth({ sim, topology, jobs, probes }),
      settled: () => settling,
    });
    closers.push(() => service.close());

    const credentials = { credentials: 'ssh' } as const;
    const access = (name: string, server: SshServer): object => {
      const { serial, baseMac } = shape.identity(name);
      return {
        ssh: { host: '127.0.0.1', port: server.port, ...credentials, hostKey: server.fingerprint },
        serial,
        baseMac,
      };
    };
    const serverOf = (name: string): SshServer => servers.get(name) as SshServer;
    const ends = (pair: readonly [{ node: string; port: string }, { node: string; port: string }]): string[] =>
      pair.map(
        ({ node, port }) => `${node} ${shape.ports(node).find(candidate => candidate.port === port)?.devicePort}`,
      );
    const inventory = path.join(directory, 'inventory.yaml');
    const inventoryText = stringify({
      farspan: 1,
      name: `emulated-${topology.name}`,
      clock: service.url,
      traps: { host: '127.0.0.1', port: trapsPort },
      credentials: {
        ssh: { kind: 'ssh', user: USER, keyFile: './id_ed25519' },
        snmp: {
          kind: 'snmp-v3',
          user: USER,
          auth: 'sha256',
          authKeyFile: './snmp-auth',
          privacy: 'aes',
          privacyKeyFile: './snmp-priv',
        },
        'snmp-v2': { kind: 'snmp-v2c', communityFile: './community' },
      },
      devices: Object.fromEntries([
        ...switches.map(({ name, role, site, server, agent }) => [
          name,
          {
            driver: 'sonic',
            role: 'lab',
            site,
            part: role,
            address: shape.address(name),
            ...access(name, server),
            snmp: { host: '127.0.0.1', port: agent.port, credentials: 'snmp' },
          },
        ]),
        ...topology.hosts.map(({ name, site }) => [
          name,
          {
            driver: 'gpu-node',
            role: 'lab',
            site,
            part: 'host',
            address: shape.address(name),
            ...access(name, serverOf(name)),
          },
        ]),
        ...Object.values(topology.spans).map(({ name }) => {
          const box = shape.spanBox(name);
          return [
            box,
            {
              driver: 'netem-span',
              role: 'lab',
              site: '-',
              part: 'span',
              ...access(box, serverOf(box)),
              serial: undefined,
              baseMac: portMac(shape.identity(box).baseMac, 1),
            },
          ];
        }),
      ]),
      links: topology.links.map(link => ({ ends: ends(link.ends), rate: link.rate, length: link.length })),
      spans: Object.values(topology.spans).map(span => ({
        name: span.name,
        device: shape.spanBox(span.name),
        ends: ends(span.ends),
        rate: span.rate,
        length: span.length,
      })),
    });
    await writeFile(inventory, inventoryText);
    await writeFile(
      files.knownHostsFile,
      devices.map(({ sshPort, hostKey }) => `[127.0.0.1]:${sshPort} ${hostKey}\n`).join(''),
    );
    return {
      inventory,
      inventoryText,
      clockUrl: service.url,
      trapsPort,
      devices,
      sim,
      shape,
      device(name) {
        const box = boxes.get(name);
        if (!box) throw new RangeError(`${topology.name} has no device ${name}.`);
        return emulatedBox({ box, sim, shape });
      },
      secrets: { user: USER, ...files, community, snmpAuth, snmpPrivacy },
      close,
    };
  }
}

interface TruthOptions {
  readonly sim: FabricSim;
  readonly topology: Topology;
  readonly jobs: readonly SimJob[];
  readonly probes: readonly StartedProbe[];
}

/** Everything the simulator knows exactly, as record lines: every round, every probe flow, every counter now. */
function* truth({ sim, topology, jobs, probes }: TruthOptions): Iterable<RecordLine> {
  for (const job of jobs) yield* job.rounds;
  for (const probe of probes) {
    const { spans } = sim.path(probe.source, probe.target, probe.sourcePort);
    const span = Object.values(topology.spans).find(({ name }) => name === spans[0]);
    const siteOf = (node: string): string | undefined =>
      [...topology.switches, ...topology.hosts].find(({ name }) => name === node)?.site;
    yield {
      kind: 'probe',
      phase: '',
      span: span?.name ?? '',
      direction: span && siteOf(span.ends[0].node) !== siteOf(probe.source) ? 'b-to-a' : 'a-to-b',
      source: probe.source,
      target: probe.target,
      packetsPerSecond: probe.packetsPerSecond,
      beginNs: probe.beginPs / 1e3,
      endNs: (probe.endPs() ?? sim.nowPs) / 1e3,
      sent: probe.sent(),
      received: probe.received(),
    } satisfies ProbeLine;
  }
  const atNs = sim.nowPs / 1e3;
  const isSwitch = new Set(topology.switches.map(({ name }) => name));
  for (const { name: node } of [...topology.switches, ...topology.hosts]) {
    const ports: Record<string, PortCounters> = {};
    for (const { name, operUp } of sim.ports(node)) {
      const count = sim.count(node, name);
      const nic = isSwitch.has(node) ? undefined : sim.nic(node);
      ports[name] = {
        rxBytes: count.rxBytes,
        txBytes: count.txBytes,
        rxPackets: count.rxPackets,
        txPackets: count.txPackets,
        drops: count.drops,
        queuePackets: count.queuePackets,
        ecnMarked: count.ecnMarked,
        pfcRx: count.pfcRx,
        pfcTx: count.pfcTx,
        pausedNs: count.pausedPs / 1e3,
        operUp,
        ...(nic && { cnpSent: nic.cnpSent, cnpHandled: nic.cnpHandled, outOfSequence: nic.outOfSequence }),
      };
    }
    yield { kind: 'counters', atNs, node, ports } satisfies CountersLine;
  }
}
