import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type EmulatedLab, startEmulatedLab } from '../../../../emulators/device/emulated-lab.ts';
import { PAIR } from './pair.ts';

/** An emulated lab in this process, with what is true of it at hand: the oracle of the tests that kill. */
export interface KeptLab {
  readonly lab: EmulatedLab;
  readonly inventory: string;
  readonly state: string;
  readonly runs: string;
  /** What differs from how the lab was made, by what the simulator knows; empty when it is as it was. */
  left(): readonly string[];
  /** What Farspan still keeps on the devices beside the lock: files, timers, processes. */
  kept(): readonly string[];
  close(): Promise<void>;
}

/** @param ttl time-to-live of leases and undo timers, such as `5 s` */
export async function keptLab(
  ttl: string,
  options: Pick<Parameters<typeof startEmulatedLab>[0], 'without' | 'pace'> = {},
): Promise<KeptLab> {
  const directory = await mkdtemp(path.join(tmpdir(), 'farspan-kept-'));
  const lab = await startEmulatedLab({ topology: PAIR, seed: 1, directory, ...options });
  const inventory = path.join(directory, 'kept.yaml');
  await writeFile(
    inventory,
    lab.inventoryText.replace(/^name: .*$/m, line => `${line}\nttl: ${ttl}`),
  );
  const boxes = lab.devices.map(({ name }) => lab.device(name));
  const state = (): readonly string[] =>
    boxes.flatMap(box => {
      const span = box.span();
      const words = span
        ? (['a-to-b', 'b-to-a'] as const).map(way => {
            // netem holds whole ns.
            const { passing, light, delayPs, loss } = span[way];
            return `${box.name} ${way}: passing ${passing} light ${light} delay ${Math.round(delayPs / 1e3)} ns loss ${loss}`;
          })
        : box.ports().map(({ name, adminUp }) => `${box.name} ${name}: ${adminUp ? 'up' : 'shut'}`);
      return [
        ...words,
        ...box
          .processes()
          .filter(({ args }) => !args.includes('guard fire'))
          .map(({ args }) => `${box.name} runs ${args}`),
      ];
    });
  const found = state();
  return {
    lab,
    inventory,
    state: path.join(directory, 'state'),
    runs: path.join(directory, 'runs'),
    left() {
      const now = state();
      return [
        ...now.filter(line => !found.includes(line)),
        ...found.filter(line => !now.includes(line)).map(line => `not ${line}`),
      ];
    },
    kept: () =>
      boxes.flatMap(box => [
        ...[...box.files().keys()].filter(name => name !== 'lock').map(name => `${box.name}: ${name}`),
        ...box.timers().map(timer => `${box.name}: timer ${JSON.stringify(timer)}`),
      ]),
    async close() {
      await lab.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
