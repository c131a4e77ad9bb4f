import type { InjectedFault } from '../binding/testbed.ts';
import { firstLine } from '../binding/first-line.ts';
import { faultRulesOf } from '../faults/fault-rules.ts';
import type { Fault } from '../model/fault.ts';
import type { EffectLine } from '../model/record.ts';
import type { PortRef } from '../model/topology.ts';
import { magnitude, print } from '../model/units.ts';
import { type Baseline, shaperAt, shaperWords } from './baseline.ts';
import { changesOf, manualUndo, steeredEnd, type Way, waysOf } from './device-change.ts';
import { deviceOf, nowOf, type OpenLab, switchOf } from './open-lab.ts';
import { readBack } from './read-back.ts';
import { guardOf, injected, type KeptFault, restore, type Safekeeping, secure } from './safekeeping.ts';

/**
 * Longest wait for ports that were put up to carry traffic, ns of testbed time. Auto-negotiation, link training and FEC of 100G and
 * faster take seconds on a real port. Our choice.
 */
const LINK_UP_WITHIN_NS = { virtual: 1e9, wall: 60e9 };
/** First pause between two looks at it, ns; each next one is half as long again. */
const LINK_UP_STEP_NS = { virtual: 1e6, wall: 200e6 };

/** A boot instant that moved by more than this is another boot: `/proc/uptime` has a resolution of 10 ms. */
const ANOTHER_BOOT_NS = 20e6;

export interface InjectOptions {
  readonly lab: OpenLab;
  readonly keep: Safekeeping;
  readonly baseline: Baseline;
  readonly fault: Fault;
  readonly id: string;
}

/** Independent evidence of a fault that was commanded. */
type Witness = () => Promise<readonly Pick<EffectLine, 'witness' | 'seen' | 'real'>[]>;

async function portsAt(
  lab: OpenLab,
  ends: readonly PortRef[],
  act: (seen: { readonly ref: PortRef; readonly device: string; readonly operUp: boolean }) => boolean | null,
) {
  return Promise.all(
    ends
      .filter(({ node }) => lab.switches.has(node))
      .map(async ref => {
        const { device, port } = lab.solution.port(ref);
        try {
          const status = (await switchOf(lab, ref.node).ports()).get(port);
          if (!status) return { witness: device, seen: `no port ${port}`, real: null };
          return {
            witness: device,
            seen: `port ${port} is ${status.operUp ? 'up' : 'down'}`,
            real: act({ ref, device, operUp: status.operUp }),
          };
        } catch (error) {
          return { witness: device, seen: `could not be read: ${firstLine(error)}`, real: null };
        }
      }),
  );
}

async function cutSpan(options: InjectOptions, fault: Extract<Fault, { kind: 'span-cut' }>): Promise<Witness> {
  const { lab, baseline } = options;
  const { name, ends } = fault.span;
  const ways = waysOf(fault.direction);
  const { shaper, box, read } = shaperAt(lab, name);
  const dropped = async (way: Way): Promise<bigint> => (await shaper.counters(box(way))).dropped;
  const before = new Map<Way, bigint>();
  if (fault.light === 'kept') for (const way of ways) before.set(way, await dropped(way));

  await Promise.all(
    ways.map(way =>
      fault.light === 'lost'
        ? shaper.setLight(box(way), 'off')
        : shaper.setImpairment(box(way), { delayNs: baseline.shaper(name, way).delayNs, loss: 1 }),
    ),
  );

  /** The end that no longer sees light from the far side. */
  const deaf = ways.map(way => (way === 'a-to-b' ? ends[1] : ends[0]));
  const boxName = lab.solution.spans.get(name)?.device ?? name;
  return async () => {
    if (fault.light === 'lost') {
      const shapers = await Promise.all(
        ways.map(async way => {
          const state = await read(way);
          return { witness: boxName, seen: `${name} ${way}: ${shaperWords(state)}`, real: !state.light };
        }),
      );
      return [...shapers, ...(await portsAt(lab, deaf, ({ operUp }) => !operUp))];
    }
    const shapers = await Promise.all(
      ways.map(async way => {
        const state = await read(way);
        const lost = (await dropped(way)) - (before.get(way) ?? 0n);
        // No frame lost may only mean that none was sent since the fabric turned away: that proves nothing.
        const real = state.loss < 1 ? false : lost > 0n ? true : null;
        return {
          witness: boxName,
          seen: `${name} ${way}: ${shaperWords(state)}, ${lost} frames dropped since the fault`,
          real,
        };
      }),
    );
    return [...shapers, ...(await portsAt(lab, ends, ({ operUp }) => (operUp ? null : false)))];
  };
}

/** netem keeps a loss in 32 bits and tells it rounded. */
const LOSS_READ_WITHIN = 1e-3;

async function degradeSpan(options: InjectOptions, fault: Extract<Fault, { kind: 'span-degrade' }>): Promise<Witness> {
  const { lab, baseline } = options;
  const { name, ends } = fault.span;
  if (!('loss' in fault.amount)) throw new RangeError('A lab degrades a span by loss, not by bit errors.');
  const loss = magnitude(fault.amount.loss);
  const ways = waysOf(fault.direction);
  const { shaper, box, read } = shaperAt(lab, name);
  const dropped = async (way: Way): Promise<bigint> => (await shaper.counters(box(way))).dropped;
  const before = new Map<Way, bigint>();
  for (const way of ways) before.set(way, await dropped(way));
  await Promise.all(
    ways.map(way => shaper.setImpairment(box(way), { delayNs: baseline.shaper(name, way).delayNs, loss })),
  );
  const boxName = lab.solution.spans.get(name)?.device ?? name;
  return async () => {
    const shapers = await Promise.all(
      ways.map(async way => {
        const state = await read(way);
        const lost = (await dropped(way)) - (before.get(way) ?? 0n);
        const set = Math.abs(state.loss - loss) <= LOSS_READ_WITHIN * loss;
        return {
          witness: boxName,
          seen: `${name} ${way}: ${shaperWords(state)}, ${lost} frames dropped since the fault`,
          real: set && state.light ? (lost > 0n ? true : null) : false,
        };
      }),
    );
    return [...shapers, ...(await portsAt(lab, ends, ({ operUp }) => (operUp ? null : false)))];
  };
}

async function flapSpan(options: InjectOptions, fault: Extract<Fault, { kind: 'span-flap' }>): Promise<Witness> {
  const { lab } = options;
  const { name, ends } = fault.span;
  const ways = waysOf('both');
  const { shaper, box } = shaperAt(lab, name);
  const dropped = async (): Promise<bigint> => {
    const counts = await Promise.all(ways.map(async way => (await shaper.counters(box(way))).dropped));
    return counts.reduce((sum, count) => sum + count, 0n);
  };
  const changes = (): Promise<(number | undefined)[]> =>
    Promise.all(
      ends.map(async end => (await switchOf(lab, end.node).ports()).get(lab.solution.port(end).port)?.lastChangeNs),
    );
  const before = { dropped: await dropped(), changes: await changes() };
  const boxName = lab.solution.spans.get(name)?.device ?? name;
  const pace = { everyNs: magnitude(fault.every), downNs: magnitude(fault.down), light: fault.light, job: options.id };
  await shaper.flap(pace);
  return async () => {
    const lost = (await dropped()) - before.dropped;
    const box = {
      witness: boxName,
      seen: `${lost} frames dropped on ${name} since the fault`,
      real: lost > 0n ? true : null,
    };
    if (fault.light === 'kept') return [box];
    const now = await changes();
    const ports = ends.map((ref, i) => {
      const { device, port } = lab.solution.port(ref);
      const [was, is] = [before.changes[i], now[i]];
      const moved = was === undefined || is === undefined ? null : is > was;
      const seen =
        moved === null
          ? 'does not say when it last changed'
          : moved
            ? 'changed its state since the fault'
            : 'did not change its state since the fault';
      // A short phase may end before the first flap is detected: that alone does not deny the fault.
      return { witness: device, seen: `port ${port} ${seen}`, real: moved ? true : null };
    });
    return [box, ...ports];
  };
}

async function downLink(options: InjectOptions, fault: Extract<Fault, { kind: 'link-down' }>): Promise<Witness> {
  const { lab } = options;
  const { ends } = fault.link;
  const { port, ref } = steeredEnd(ends, lab.solution);
  await switchOf(lab, ref.node).setPort(port, 'down');
  return () => portsAt(lab, ends, ({ operUp }) => !operUp);
}

const switchEnds = (lab: OpenLab, ends: readonly PortRef[]): readonly PortRef[] =>
  ends.filter(({ node }) => lab.switches.has(node));

async function statusOf(lab: OpenLab, end: PortRef): Promise<{ readonly operUp: boolean | undefined }> {
  return { operUp: (await switchOf(lab, end.node).ports()).get(lab.solution.port(end).port)?.operUp };
}

/** Waits until all ends are operationally up, looking in growing steps. @returns what was seen of those that were not by the deadline */
async function awaitUp(
  lab: OpenLab,
  { ends, deadlineNs }: { readonly ends: readonly PortRef[]; readonly deadlineNs: number },
): Promise<readonly string[]> {
  let stepNs = LINK_UP_STEP_NS[lab.clock.kind];
  for (;;) {
    const seen = await portsAt(lab, ends, ({ operUp }) => operUp);
    const late = seen.filter(({ real }) => real !== true);
    if (late.length === 0) return [];
    const left = deadlineNs - (await nowOf(lab));
    if (left <= 0) return late.map(({ witness, seen: words }) => `${witness} ${words}`);
    await lab.clock.elapse({ forNs: Math.max(1, Math.min(stepNs, left)) });
    stepNs *= 1.5;
  }
}

async function rebootSwitch(
  options: InjectOptions,
  fault: Extract<Fault, { kind: 'switch-reboot' }>,
): Promise<Witness> {
  const { lab } = options;
  const node = fault.switch.name;
  const device = switchOf(lab, node);
  const name = device.name;
  /** Testbed time at which it booted. */
  const bootedNs = async (): Promise<number> => {
    const uptime = await device.uptimeNs();
    return (await nowOf(lab)) - uptime;
  };
  const before = await bootedNs();
  await device.reboot();

  const look = async (): Promise<{ readonly seen: string; readonly again: boolean | null }> => {
    try {
      const booted = await bootedNs();
      const again = booted > before + ANOTHER_BOOT_NS;
      return {
        seen: again ? `booted ${print(booted - before, 'duration')} after the boot before` : 'has not rebooted',
        again,
      };
    } catch (error) {
      return { seen: `does not answer: ${firstLine(error)}`, again: null };
    }
  };
  return async () => {
    const own = await look();
    // Silence of one device may be the management network; its neighbours' ports say whether it is gone.
    const neighbours = lab.topology.links
      .filter(({ ends }) => ends.some(end => end.node === node))
      .flatMap(({ ends }) => ends.filter(end => end.node !== node))
      .concat(
        Object.values(lab.topology.spans).flatMap(({ ends }) =>
          ends.some(end => end.node === node) ? ends.filter(end => end.node !== node) : [],
        ),
      );
    const around =
      own.again === null ? await portsAt(lab, neighbours.slice(0, 2), ({ operUp }) => (operUp ? null : true)) : [];
    return [{ witness: name, seen: own.seen, real: own.again }, ...around];
  };
}

function begin(options: InjectOptions): Promise<Witness> {
  const { fault } = options;
  if (fault.kind === 'span-cut') return cutSpan(options, fault);
  if (fault.kind === 'span-flap') return flapSpan(options, fault);
  if (fault.kind === 'span-degrade') return degradeSpan(options, fault);
  if (fault.kind === 'protection-switch') throw new RangeError('A lab can not switch a span to protection.');
  if (fault.kind === 'link-down') return downLink(options, fault);
  return rebootSwitch(options, fault);
}

/**
 * Makes a fault true and returns the only function that undoes it. Before anything is sent the journal holds what will be, and each
 * device an armed undo. When a command fails half way, what was done is undone before the error is passed on.
 */
export async function inject(options: InjectOptions): Promise<InjectedFault> {
  const { lab, keep, baseline, fault, id } = options;
  const rules = faultRulesOf(fault);
  const rebooted = fault.kind === 'switch-reboot' ? guardOf(keep, deviceOf(lab, fault.switch.name)) : undefined;
  const boot = (await rebooted?.survey())?.boot;
  const known = { shaper: baseline.shaper, adminUp: baseline.adminUp, job: id, ...(boot !== undefined && { boot }) };
  const changes = changesOf(fault, lab.solution, known);
  const kept: KeptFault = { id, what: rules.describe(fault), declared: fault, changes };
  /** Ports that carried traffic before: the fault is healed when they all do again. */
  const settles = switchEnds(lab, rules.settles(fault, lab.topology));
  const before = await Promise.all(settles.map(async end => ({ end, ...(await statusOf(lab, end)) })));
  const carried = before.filter(({ operUp }) => operUp).map(({ end }) => end);
  const settled = async (): Promise<readonly string[]> =>
    awaitUp(lab, { ends: carried, deadlineNs: (await nowOf(lab)) + LINK_UP_WITHIN_NS[lab.clock.kind] });

  await secure(keep, kept);
  let witness: Witness;
  let sentNs: number;
  let injectedNs: number;
  try {
    sentNs = await nowOf(lab);
    witness = await begin(options);
    injectedNs = await nowOf(lab);
    injected(keep, id);
    await probeEffect(options, kept);
    await keep.lease.renew();
  } catch (error) {
    const { verified, observed } = await restore(keep, kept, settled);
    if (verified) throw error;
    throw new Error(`${firstLine(error)}; and ${kept.what} could not be undone: ${observed}. ${manualUndo(changes)}`, {
      cause: error,
    });
  }
  let outcome: ReturnType<InjectedFault['heal']> | undefined;

  const heal = async (): ReturnType<InjectedFault['heal']> => {
    const { expected, observed, verified, by } = await restore(keep, kept, settled);
    const healedNs = await nowOf(lab).catch(() => Number.NaN);
    return {
      healedNs,
      expected,
      observed,
      verified,
      ...(by !== 'undo' && { by }),
      ...(!verified && { manual: manualUndo(changes) }),
    };
  };
  return {
    injectedNs,
    bracketNs: injectedNs - sentNs,
    async witness() {
      const seen = await witness();
      const atNs = await nowOf(lab);
      for (const effect of seen) lab.record({ kind: 'effect', fault: id, atNs, ...effect });
    },
    heal: () => (outcome ??= heal()),
  };
}

/**
 * A command that was acknowledged and changed nothing is no fault: the device must not read as it was found. A flap and a reboot show
 * themselves in time only; their witnesses tell.
 */
async function probeEffect({ keep, fault }: InjectOptions, { id, what, changes }: KeptFault): Promise<void> {
  if (fault.kind === 'span-flap' || fault.kind === 'switch-reboot') return;
  for (const change of changes) {
    const at = keep.devices.get(change.device);
    if (at && (await readBack(change, at)).verified)
      throw new Error(
        `${change.device} took the commands of ${what} and reads as before: ${change.commands.join('; ')}`,
      );
  }
  keep.journal.state(id, 'seen');
  keep.boundary('effect seen');
}
