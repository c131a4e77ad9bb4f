import { TestbedUnavailable } from '../binding/binding.ts';
import { label } from '../drivers/device-text.ts';
import { receiveTraps, type Trap } from '../drivers/snmp.ts';
import { resolveCredential } from './credentials.ts';
import { nowOf, type OpenLab } from './open-lab.ts';

/** SNMPv2-MIB and IF-MIB, RFC 3418 and RFC 2863. */
const LINK_DOWN = '1.3.6.1.6.3.1.1.5.3';
const LINK_UP = '1.3.6.1.6.3.1.1.5.4';
const IF_INDEX = '1.3.6.1.2.1.2.2.1.1.';
const IF_DESCR = '1.3.6.1.2.1.2.2.1.2.';
const IF_NAME = '1.3.6.1.2.1.31.1.1.1.1.';
const SYS_NAME = '1.3.6.1.2.1.1.5.';

/** Traps of one node that are written within one second of wall time. Our choice: a leaf's ports may all change at once. */
const MOST_PER_SECOND = 20;
const WINDOW_MS = 1000;
/** Lines that wait for the testbed's time; each is one request to a clock service. */
const MOST_PENDING = 200;

const valueUnder = (trap: Trap, prefix: string): string | undefined => {
  for (const [oid, value] of trap.values)
    if (oid.startsWith(prefix) && value !== null)
      return Buffer.isBuffer(value) ? value.toString('utf8') : String(value);
  return undefined;
};

/** Whom a trap is from: its sysName when it sends one, else its address when no other device has it. */
function sender(lab: OpenLab, trap: Trap): string {
  const named = valueUnder(trap, SYS_NAME);
  const byDevice = new Map([...lab.solution.devices].map(([node, device]) => [device, node]));
  if (named !== undefined) return byDevice.get(named) ?? named;
  const there = [...byDevice].filter(([device]) => lab.inventory.devices[device]?.snmp?.host === trap.from);
  return there.length === 1 ? (there[0]?.[1] ?? trap.from) : trap.from;
}

/** `linkDown Ethernet4`; other traps by their OID. */
function wordsOf(trap: Trap): string {
  const what = trap.oid === LINK_DOWN ? 'linkDown' : trap.oid === LINK_UP ? 'linkUp' : `trap ${trap.oid}`;
  const port = valueUnder(trap, IF_NAME) ?? valueUnder(trap, IF_DESCR) ?? valueUnder(trap, IF_INDEX);
  return port === undefined ? what : `${what} ${port}`;
}

/**
 * Writes one `event` line per trap that arrives, with the testbed's time at which it was received: it may be later than the event by
 * the slice of time that was passing. A flood is cut: of each node at most `MOST_PER_SECOND` a second, then one line says how many more
 * came; senders that no device of the inventory explains share one such allowance. Nothing listens where the inventory names no `traps`.
 */
export async function listenForTraps(
  lab: OpenLab,
  {
    env,
    wallMs = () => performance.now(),
  }: { readonly env: Readonly<Record<string, string | undefined>>; readonly wallMs?: () => number },
): Promise<{ close(): Promise<void> }> {
  const { traps } = lab.inventory;
  if (!traps) return { close: () => Promise.resolve() };
  const communities: string[] = [];
  for (const [name, entry] of Object.entries(lab.inventory.credentials)) {
    if (entry.kind !== 'snmp-v2c') continue;
    const secret = await resolveCredential(name, { inventory: lab.inventory, env });
    if (secret.kind === 'snmp-v2c') communities.push(secret.community);
  }
  let closed = false;
  const pending = new Set<Promise<void>>();
  const write = (node: string, what: string): void => {
    const writing = nowOf(lab)
      .then(atNs => {
        if (!closed) lab.record({ kind: 'event', atNs, node, what });
      })
      // Without a time there is no line; the clock's own failure is reported by whoever moves it.
      .catch(() => undefined)
      .finally(() => pending.delete(writing));
    pending.add(writing);
  };
  const windows = new Map<string, { beganMs: number; written: number; more: number }>();
  const tellMore = (source: string, more: number): void => {
    if (more > 0) write(source, `${more} more traps, not written: they came faster than ${MOST_PER_SECOND} a second`);
  };
  const note = (node: string, what: string): void => {
    // Names that a sender makes up must not each bring an allowance of their own.
    const source = lab.solution.devices.has(node) ? node : 'traps';
    const atMs = wallMs();
    const window = windows.get(source) ?? { beganMs: atMs, written: 0, more: 0 };
    windows.set(source, window);
    const full = pending.size >= MOST_PENDING;
    if (atMs - window.beganMs >= WINDOW_MS && !full) {
      tellMore(source, window.more);
      Object.assign(window, { beganMs: atMs, written: 0, more: 0 });
    }
    if (full || window.written >= MOST_PER_SECOND) window.more++;
    else {
      window.written++;
      write(label(node), label(what));
    }
  };
  const receiver = await receiveTraps({
    port: traps.port,
    address: traps.host,
    communities,
    onTrap: trap => note(sender(lab, trap), wordsOf(trap)),
    onBad: why => note('traps', `refused: ${why}`),
  }).catch((error: unknown) => {
    const used = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
    const why = used ? 'another program, maybe another run, listens there' : (error as Error).message;
    throw new TestbedUnavailable(
      `${lab.inventory.where(['traps', 'port'])}: traps can not be received at ${traps.host}:${traps.port}: ${why}.`,
      { cause: error },
    );
  });
  return {
    async close() {
      await receiver.close();
      for (const [source, { more }] of windows) tellMore(source, more);
      await Promise.all(pending);
      closed = true;
    },
  };
}
