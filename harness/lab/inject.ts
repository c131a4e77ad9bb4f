import type { InjectedFault } from '../binding/testbed.ts';
import type { Fault } from '../model/fault.ts';
import type { EffectLine } from '../model/record.ts';
import type { PortRef } from '../model/topology.ts';
import { magnitude, print } from '../model/units.ts';
import { type Baseline, sameShaper, shaperAt, shaperWords } from './baseline.ts';
import { manualUndo, steeredEnd, type Way, waysOf } from './describe-fault.ts';
import { nowOf, type OpenLab, switchOf } from './open-lab.ts';

/** An undo that failed is tried this often in all. Every undo here is idempotent. */
const UNDO_TRIES = 3;

/** Longest wait for a switch to come back, ns of testbed time: ten times what was declared and this. */
const REBOOT_GRACE_NS = { virtual: 1e9, wall: 600e9 };

/**
 * Longest wait for a port that was put up to carry traffic, ns of testbed time. Auto-negotiation, link training and FEC of 100G and
 * faster take seconds on a real port. Our choice.
 */
const LINK_UP_WITHIN_NS = { virtual: 1e9, wall: 60e9 };
/** First pause between two looks at it, ns; each next one is half as long again. */
const LINK_UP_STEP_NS = { virtual: 1e6, wall: 200e6 };

/** A boot instant that moved by more than this is another boot: `/proc/uptime` has a resolution of 10 ms. */
const ANOTHER_BOOT_NS = 20e6;

export interface InjectOptions {
  readonly lab: OpenLab;
  readonly baseline: Baseline;
  readonly fault: Fault;
  readonly id: string;
  /** Told what may be left on a device though no reading would show it for sure. */
  readonly unsure: (words: string) => void;
}

interface ReadBack {
  readonly expected: string;
  readonly observed: string;
  readonly verified: boolean;
}

interface InEffect {
  witness(): Promise<readonly Pick<EffectLine, 'witness' | 'seen' | 'real'>[]>;
  undo(): Promise<void>;
  readBack(): Promise<ReadBack>;
}

const firstLine = (error: unknown): string => ((error as Error).message ?? String(error)).split('\n')[0] ?? '';

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

/** Restores light, delay and loss of one direction; touches only what differs, so that a heal leaves no other side effect. */
async function restoreShaper(options: InjectOptions, span: string, way: Way): Promise<void> {
  const { lab, baseline } = options;
  const { shaper, read, box } = shaperAt(lab, span);
  const was = baseline.shaper(span, way);
  const is = await read(way);
  if (is.light !== was.light) await shaper.setLight(box(way), was.light ? 'on' : 'off');
  if (!sameShaper({ ...is, light: was.light }, was))
    await shaper.setImpairment(box(way), { delayNs: was.delayNs, loss: was.loss });
}

async function readShapers(options: InjectOptions, span: string, ways: readonly Way[]): Promise<ReadBack> {
  const { lab, baseline } = options;
  const states = await Promise.all(
    ways.map(async way => ({ way, was: baseline.shaper(span, way), is: await shaperAt(lab, span).read(way) })),
  );
  const words = (pick: 'was' | 'is'): string =>
    states.map(state => `${span} ${state.way}: ${shaperWords(state[pick])}`).join('; ');
  return {
    expected: words('was'),
    observed: words('is'),
    verified: states.every(({ was, is }) => sameShaper(was, is)),
  };
}

async function cutSpan(options: InjectOptions, fault: Extract<Fault, { kind: 'span-cut' }>): Promise<InEffect> {
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
  return {
    async witness() {
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
    },
    undo: async () => {
      await Promise.all(ways.map(way => restoreShaper(options, name, way)));
    },
    readBack: () => readShapers(options, name, ways),
  };
}

/** netem keeps a loss in 32 bits and tells it rounded. */
const LOSS_READ_WITHIN = 1e-3;

async function degradeSpan(options: InjectOptions, fault: Extract<Fault, { kind: 'span-degrade' }>): Promise<InEffect> {
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
  return {
    async witness() {
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
    },
    undo: async () => {
      await Promise.all(ways.map(way => restoreShaper(options, name, way)));
    },
    readBack: () => readShapers(options, name, ways),
  };
}

async function flapSpan(options: InjectOptions, fault: Extract<Fault, { kind: 'span-flap' }>): Promise<InEffect> {
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
  const pace = { everyNs: magnitude(fault.every), downNs: magnitude(fault.down), light: fault.light };
  const end = await shaper.flap(pace).catch((error: unknown) => {
    // The loop may have started and only its answer be lost. Between two flaps the span reads as found.
    options.unsure(
      `${boxName} may still flap span ${name}: starting it failed with: ${firstLine(error)}. By hand: find the loop (ps -eo pid,args) and kill it`,
    );
    throw error;
  });
  return {
    async witness() {
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
    },
    undo: async () => {
      await end();
      await Promise.all(ways.map(way => restoreShaper(options, name, way)));
    },
    readBack: () => readShapers(options, name, ways),
  };
}

async function downLink(options: InjectOptions, fault: Extract<Fault, { kind: 'link-down' }>): Promise<InEffect> {
  const { lab, baseline } = options;
  const { ends } = fault.link;
  const { device, port, ref } = steeredEnd(ends, lab.solution);
  const owner = switchOf(lab, ref.node);
  const was = baseline.adminUp(ref);
  const before = await Promise.all(switchEnds(lab, ends).map(async end => ({ end, ...(await statusOf(lab, end)) })));
  /** Switch ends that carried traffic before: the link is as it was found when they all do again. */
  const carried = before.filter(({ operUp }) => operUp).map(({ end }) => end);
  await owner.setPort(port, 'down');
  const word = (up: boolean | undefined): string =>
    `${device} port ${port} administratively ${up === undefined ? 'unknown' : up ? 'up' : 'down'}`;
  /** Up to when the link may take; one deadline for all tries of the heal. */
  let deadlineNs: number | undefined;
  return {
    witness: () => portsAt(lab, ends, ({ operUp }) => !operUp),
    undo: () => owner.setPort(port, was ? 'up' : 'down'),
    readBack: async () => {
      const is = (await owner.ports()).get(port)?.adminUp;
      const expected = [word(was), ...(carried.length > 0 ? ['link up at its ends'] : [])].join(', ');
      if (is !== was || !was) return { expected, observed: word(is), verified: is === was };
      deadlineNs ??= (await nowOf(lab)) + LINK_UP_WITHIN_NS[lab.clock.kind];
      const late = await awaitUp(lab, { ends: carried, deadlineNs });
      return late.length === 0
        ? { expected, observed: expected, verified: true }
        : { expected, observed: [word(is), ...late].join(', '), verified: false };
    },
  };
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
): Promise<InEffect> {
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
  const takesNs = magnitude(fault.takes);

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
  return {
    async witness() {
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
    },
    async undo() {
      const begun = await nowOf(lab);
      const mostNs = 10 * takesNs + REBOOT_GRACE_NS[lab.clock.kind];
      // Half of what was declared first, then in growing steps: asking a device that boots costs a deadline of wall time.
      let stepNs = Math.max(1e6, takesNs / 2);
      while ((await look()).again !== true) {
        const left = begun + mostNs - (await nowOf(lab));
        if (left <= 0) throw new Error(`${name} did not come back within ${print(mostNs, 'duration')}`);
        await lab.clock.elapse({ forNs: Math.min(stepNs, left) });
        stepNs *= 1.5;
      }
    },
    async readBack() {
      const { seen, again } = await look();
      const shut = again ? await shutPorts(options, node) : [];
      return {
        expected: `${name} has rebooted, its ports as they were`,
        observed: `${name} ${seen}${shut.length > 0 ? `; not as they were: ${shut.join(', ')}` : again ? ', its ports as they were' : ''}`,
        verified: again === true && shut.length === 0,
      };
    },
  };
}

async function shutPorts({ lab, baseline }: InjectOptions, node: string): Promise<readonly string[]> {
  const ports = await switchOf(lab, node).ports();
  return lab.solution
    .portsOf(node)
    .filter(({ name, port }) => ports.get(port)?.adminUp !== baseline.adminUp({ node, port: name }))
    .map(({ port }) => port);
}

function begin(options: InjectOptions): Promise<InEffect> {
  const { fault } = options;
  if (fault.kind === 'span-cut') return cutSpan(options, fault);
  if (fault.kind === 'span-flap') return flapSpan(options, fault);
  if (fault.kind === 'span-degrade') return degradeSpan(options, fault);
  if (fault.kind === 'protection-switch') throw new RangeError('A lab can not switch a span to protection.');
  if (fault.kind === 'link-down') return downLink(options, fault);
  return rebootSwitch(options, fault);
}

/**
 * Makes a fault true and returns the only function that undoes it. When the command itself fails half way, what was
 * done is undone before the error is passed on.
 */
export async function inject(options: InjectOptions): Promise<InjectedFault> {
  const { lab, baseline, fault, id } = options;
  const delayNs = (span: string, way: Way): number => baseline.shaper(span, way).delayNs;
  const manual = manualUndo(fault, lab.solution, { delayNs });
  let inEffect: InEffect;
  try {
    inEffect = await begin(options);
  } catch (error) {
    await undoPartly(options);
    throw error;
  }
  let outcome: ReturnType<InjectedFault['heal']> | undefined;

  const heal = async (): ReturnType<InjectedFault['heal']> => {
    let result: ReadBack = { expected: 'as it was found', observed: 'not known', verified: false };
    for (let attempt = 1; attempt <= UNDO_TRIES && !result.verified; attempt++) {
      try {
        await inEffect.undo();
        result = await inEffect.readBack();
      } catch (error) {
        result = { ...result, observed: firstLine(error) };
      }
    }
    const healedNs = await nowOf(lab).catch(() => Number.NaN);
    return { healedNs, ...result, ...(result.verified ? {} : { manual }) };
  };
  return {
    async witness() {
      const seen = await inEffect.witness();
      const atNs = await nowOf(lab);
      for (const effect of seen) lab.record({ kind: 'effect', fault: id, atNs, ...effect });
    },
    heal: () => (outcome ??= heal()),
  };
}

/** After an injection that failed half way: puts back what can be put back; the leftover audit at release says what could not. */
async function undoPartly(options: InjectOptions): Promise<void> {
  const { lab, fault } = options;
  try {
    if (fault.kind === 'span-cut' || fault.kind === 'span-flap' || fault.kind === 'span-degrade') {
      await Promise.all(waysOf('both').map(way => restoreShaper(options, fault.span.name, way)));
    } else if (fault.kind === 'link-down') {
      const { port, ref } = steeredEnd(fault.link.ends, lab.solution);
      await switchOf(lab, ref.node).setPort(port, options.baseline.adminUp(ref) ? 'up' : 'down');
    }
  } catch {
    // The error that brought us here is the one to report; the audit at release reads every device again.
  }
}
