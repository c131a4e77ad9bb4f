// A runner that is to be killed: takes a lab, plays a load, injects and heals faults one after the other until it dies. Says on standard
// output what it has been told is safe: each line of the record that was acknowledged, by its number.
import { writeSync } from 'node:fs';
import { labBinding } from '../../../../harness/lab/lab-binding.ts';
import { RunFolder } from '../../../../harness/run/run-folder.ts';
import { LASTING, PAIR } from './pair.ts';

interface Orders {
  readonly inventory: string;
  readonly state: string;
  readonly runs: string;
  readonly seed: number;
  /** Dies there by itself, the n-th time it comes there; absent: it is killed from outside. */
  readonly dieAt?: { readonly boundary: string; readonly nth: number };
  /** Stops there (SIGSTOP) instead of dying. */
  readonly stop?: boolean;
  readonly rounds: number;
}

const orders = JSON.parse(process.argv[2] ?? '{}') as Orders;
const say = (line: string): void => void writeSync(1, `${line}\n`);

// Loaded and ready: the rest is what is to be interrupted.
say('ready');
await new Promise<void>(resolve => void process.stdin.once('data', () => resolve()));

const seen = new Map<string, number>();
const boundary = (name: string): void => {
  const count = (seen.get(name) ?? 0) + 1;
  seen.set(name, count);
  if (name !== orders.dieAt?.boundary || count !== orders.dieAt.nth) return;
  say(`at ${name}`);
  process.kill(process.pid, orders.stop === true ? 'SIGSTOP' : 'SIGKILL');
};

const folder = new RunFolder({ root: orders.runs, at: new Date(), title: 'victim', world: 'lab', seed: orders.seed });
say(`folder ${folder.path}`);
let acknowledged = 0;
const testbed = await labBinding({ boundary }).reserve(PAIR, {
  seed: orders.seed,
  options: { inventory: orders.inventory, state: orders.state },
  record: line => {
    folder.record(line);
    acknowledged++;
    say(`acknowledged ${acknowledged}`);
  },
  step: step => folder.step(step),
});
say('reserved');
const load = await testbed.start({ kind: 'all-reduce', bytes: '64 KiB', algorithm: 'ring' });
for (let round = 0; round < orders.rounds; round++) {
  const fault = LASTING[(orders.seed + round) % LASTING.length];
  if (!fault) break;
  const probes = round % 2 === 0 ? await testbed.probe({ phase: 'p', packetsPerSecond: 1000 }) : undefined;
  const injected = await testbed.inject(fault, `${round + 1}-${fault.kind}`);
  await testbed.elapse({ forNs: 1e5 });
  await injected.witness();
  await injected.heal();
  await probes?.stop();
  say(`round ${round}`);
}
await load.stop();
const { dirty } = await testbed.release();
say(`released ${JSON.stringify(dirty)}`);
