import type { Disk } from '../binding/disk.ts';
import type { Binding, ReserveOptions } from '../binding/binding.ts';
import type { InjectedFault, Testbed } from '../binding/testbed.ts';
import type { FaultLine, HealLine } from '../model/record.ts';
import type { Topology } from '../model/topology.ts';
import type { Cleanliness } from '../model/verdict.ts';
import { cleanlinessOf } from '../run/cleanliness.ts';
import { LineFile } from '../run/line-file.ts';

export interface ReservableOptions {
  /** Files that the lines of the record and the raw commands are appended to. */
  readonly record: string;
  readonly steps: string;
  readonly disk?: Disk;
}

export interface Reservable {
  reserve(world: Binding, topology: Topology, options: Omit<ReserveOptions, 'record' | 'step'>): Promise<Testbed>;
  /** To be done after everything was given back; in reverse order. */
  atEnd(act: () => Promise<void>): void;
  /** Heals, stops and gives back everything that is still held; one failure never blocks the others. */
  end(): Promise<{
    readonly cleanliness: Cleanliness;
    readonly errors: readonly Error[];
    readonly files: readonly string[];
  }>;
}

/** Testbeds for scenarios without a plan: whatever the body starts or injects is undone at the end, in reverse order. */
export function reservable({ record, steps, disk }: ReservableOptions): Reservable {
  const undo: (() => Promise<void>)[] = [];
  const faults: (FaultLine | HealLine)[] = [];
  const dirty: string[] = [];
  const errors: Error[] = [];
  const files = new Map<string, LineFile>();
  let lost: Error | undefined;
  /** What can not be written is the scenario's error, at its end: nobody who heals is stopped by a full disk. */
  const keep = (act: () => void): void => {
    try {
      act();
    } catch (error) {
      lost ??= error instanceof Error ? error : new Error(String(error));
    }
  };
  const append = (name: string, line: object): void =>
    keep(() => {
      const file = files.get(name) ?? new LineFile(name, disk);
      files.set(name, file);
      file.append(line);
    });

  const note = (line: FaultLine | HealLine): void => {
    faults.push(line);
    append(record, line);
  };

  const watched = (testbed: Testbed): Testbed => ({
    name: testbed.name,
    measured: testbed.measured,
    refuses: what => testbed.refuses(what),
    now: () => testbed.now(),
    elapse: until => testbed.elapse(until),
    observe: () => testbed.observe(),
    release: () => testbed.release(),
    async start(load) {
      const running = await testbed.start(load);
      undo.push(() => running.stop());
      return running;
    },
    async probe(options) {
      const probes = await testbed.probe(options);
      let running = true;
      const stop = async (): Promise<void> => {
        if (!running) return;
        running = false;
        await probes.stop();
      };
      undo.push(stop);
      return { stop };
    },
    async inject(fault, id) {
      const injected = await testbed.inject(fault, id);
      note({ kind: 'fault', id, fault, injectedNs: await testbed.now() });
      let healing: ReturnType<InjectedFault['heal']> | undefined;
      const heal = async (): ReturnType<InjectedFault['heal']> => {
        const healed = await injected.heal();
        note({ kind: 'heal', fault: id, ...healed });
        return healed;
      };
      const once = (): ReturnType<InjectedFault['heal']> => (healing ??= heal());
      undo.push(async () => void (await once()));
      return { witness: () => injected.witness(), heal: once };
    },
  });

  return {
    async reserve(world, topology, options) {
      const testbed = await world.reserve(topology, {
        ...options,
        record: line => append(record, line),
        step: line => append(steps, line),
      });
      undo.push(async () => void dirty.push(...(await testbed.release()).dirty));
      return watched(testbed);
    },
    atEnd: act => void undo.push(act),
    async end() {
      for (const act of undo.splice(0).toReversed()) {
        try {
          await act();
        } catch (error) {
          errors.push(error instanceof Error ? error : new Error(String(error)));
        }
      }
      for (const file of files.values()) keep(() => file.close());
      if (lost) errors.unshift(lost);
      const seen = cleanlinessOf(faults);
      return { cleanliness: { ...seen, dirty: [...seen.dirty, ...dirty] }, errors, files: [...files.keys()] };
    },
  };
}
