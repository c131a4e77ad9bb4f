import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import type { Topology } from '../../harness/model/topology.ts';
import type { Duration } from '../../harness/model/units.ts';
import { magnitude } from '../../harness/model/units.ts';
import { type EmulatedLab, type EmulatedLabOptions, startEmulatedLab } from './emulated-lab.ts';

const USAGE = `Usage: main.ts --topology FILE.json [--dir DIR] [--seed N] [--defect NAME] [--train N] [--boot DURATION] [--without LIST] [--pace X] [--port-base N]

Starts an emulated lab on loopback and runs until Ctrl-C.
  --topology FILE   a topology as JSON, as a run record holds it
  --dir DIR         where keys and inventory.yaml are written (default: a new folder, removed at the end)
  --seed N          every random choice of the fabric comes from it (default 1)
  --defect NAME     plants a defect in the fabric
  --train N         packets simulated as one unit (default 1, exact)
  --boot DURATION   how long a reboot takes, such as "100 ms"
  --without LIST    programs that devices lack: "DEVICE:PROGRAM,PROGRAM;DEVICE:PROGRAM", such as "span-north:flock;a-spine-1:systemd"
  --pace X          virtual time runs by itself, X virtual seconds a second; without it only the clock service moves it
  --port-base N     ports are counted up from N (default: any free ones)
`;

/** A wrong command line or topology: no stack is of use. */
class UsageError extends Error {}

function count(text: string | undefined, what: string, least: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isFinite(value) || value < least || text.trim() === '')
    throw new UsageError(`${what} "${text}" is not a number of at least ${least}.`);
  return value;
}

/** `a:flock,ps;b:systemd` */
function lacking(text: string): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries(
    text.split(';').map(item => {
      const [, device, programs] = /^([\w.-]+):([\w.,-]+)$/.exec(item.trim()) ?? [];
      if (device === undefined || programs === undefined)
        throw new UsageError(`--without "${text}": "${item}" is not DEVICE:PROGRAM,PROGRAM.`);
      return [device, programs.split(',')];
    }),
  );
}

interface Arguments {
  readonly lab: Omit<EmulatedLabOptions, 'directory'>;
  readonly directory: string | undefined;
  readonly ready: boolean;
}

function readArguments(argv: readonly string[]): Arguments {
  const parsed = (() => {
    try {
      return parseArgs({
        args: [...argv],
        options: {
          topology: { type: 'string' },
          dir: { type: 'string' },
          seed: { type: 'string' },
          defect: { type: 'string' },
          train: { type: 'string' },
          boot: { type: 'string' },
          without: { type: 'string' },
          pace: { type: 'string' },
          'port-base': { type: 'string' },
          'ready-json': { type: 'boolean' },
        },
      }).values;
    } catch (error) {
      throw new UsageError(`${(error as Error).message}\n\n${USAGE}`);
    }
  })();
  if (parsed.topology === undefined) throw new UsageError(`--topology is missing.\n\n${USAGE}`);
  let topology: Topology;
  try {
    topology = JSON.parse(readFileSync(parsed.topology, 'utf8')) as Topology;
  } catch (error) {
    throw new UsageError(`${parsed.topology} is not a topology: ${(error as Error).message}`);
  }
  if (
    !Array.isArray(topology?.hosts) ||
    !Array.isArray(topology.switches) ||
    !Array.isArray(topology.links) ||
    typeof topology.spans !== 'object'
  ) {
    throw new UsageError(`${parsed.topology} is not a topology: it needs hosts, switches, links and spans.`);
  }
  const trainPackets = count(parsed.train, '--train', 1);
  const pace = count(parsed.pace, '--pace', 1e-6);
  const portBase = count(parsed['port-base'], '--port-base', 1024);
  const bootPs = parsed.boot === undefined ? undefined : Math.round(magnitude(parsed.boot as Duration) * 1e3);
  return {
    directory: parsed.dir,
    ready: parsed['ready-json'] === true,
    lab: {
      topology,
      seed: count(parsed.seed, '--seed', 0) ?? 1,
      ...(parsed.defect !== undefined && { defect: parsed.defect }),
      ...(trainPackets !== undefined && { trainPackets }),
      ...(pace !== undefined && { pace }),
      ...(portBase !== undefined && { portBase }),
      ...(bootPs !== undefined && { bootPs }),
      ...(parsed.without !== undefined && { without: lacking(parsed.without) }),
    },
  };
}

/** Everything a person needs to reach each device by hand. */
function describeLab(lab: EmulatedLab, pace: number | undefined): string {
  const { user, keyFile, knownHostsFile, community, snmpAuth, snmpPrivacy } = lab.secrets;
  const lines = [
    `inventory  ${lab.inventory}`,
    `clock      ${lab.clockUrl}  (curl -d '{"forNs":1000000}' ${lab.clockUrl}/elapse)`,
    `traps to   127.0.0.1:${lab.trapsPort}/udp`,
    pace === undefined
      ? 'time       stands still until the clock is told to move on, so a cut shows only after that; --pace 1 lets it run by itself'
      : `time       runs by itself, ${pace} virtual seconds a second`,
    'end        Ctrl-C; the folder of the inventory, with its keys, is then removed',
    '',
  ];
  for (const { name, driver, sshPort, snmpPort } of lab.devices) {
    lines.push(`${name} (${driver})`);
    lines.push(
      `  ssh -p ${sshPort} -i ${keyFile} -o IdentitiesOnly=yes -o UserKnownHostsFile=${knownHostsFile} -o StrictHostKeyChecking=yes ${user}@127.0.0.1`,
    );
    if (snmpPort !== undefined) {
      lines.push(`  snmpbulkwalk -v2c -c ${community} 127.0.0.1:${snmpPort} 1.3.6.1.2.1.31.1.1`);
      lines.push(
        `  snmpbulkwalk -v3 -l authPriv -u ${user} -a SHA-256 -A ${snmpAuth} -x AES -X ${snmpPrivacy} 127.0.0.1:${snmpPort} 1.3.6.1.2.1.31.1.1`,
      );
    }
  }
  return `${lines.join('\n')}\n`;
}

async function main(argv: readonly string[]): Promise<void> {
  const { lab: options, directory, ready } = readArguments(argv);
  const folder = directory ?? (await mkdtemp(path.join(tmpdir(), 'farspan-emulated-')));
  const lab = await startEmulatedLab({ ...options, directory: folder });
  let ending: Promise<void> | undefined;
  const end = (): Promise<void> =>
    (ending ??= (async () => {
      await lab.close();
      // Of a provider's folder too: it holds keys, and the provider may be dead.
      if (directory === undefined || ready) await rm(folder, { recursive: true, force: true });
      // Sockets of clients that never say goodbye would keep the process.
      process.exit(0);
    })());
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void end());
  if (ready) {
    // The provider holds our stdin: when it dies, however it dies, so do we.
    process.stdin.on('end', () => void end());
    process.stdin.on('error', () => void end());
    process.stdin.resume();
    process.stdout.write(`${JSON.stringify({ inventory: lab.inventory, clock: lab.clockUrl })}\n`);
  } else process.stdout.write(describeLab(lab, options.pace));
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  main(process.argv.slice(2)).catch((error: unknown) => {
    const plain = error instanceof UsageError || error instanceof RangeError;
    process.stderr.write(`${plain ? error.message : error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(plain ? 5 : 3);
  });
}
