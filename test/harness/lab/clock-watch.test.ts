import t from 'tap';
import { DeviceError } from '../../../harness/binding/device-error.ts';
import { clockWatch } from '../../../harness/lab/clock-watch.ts';
import type { RecordLine } from '../../../harness/model/record.ts';

const MS = 1e6;
const SECOND = 1e9;
const DATE_MS = 1_700_000_000_000;

/** A device whose date is 250 ms ahead, and a lab clock that moves by 1 ms with each look at it. */
function watched(kind: 'wall' | 'virtual', answers: () => string | Error) {
  const lines: RecordLine[] = [];
  let nowNs = 5 * SECOND;
  let asked = 0;
  const watch = clockWatch({
    devices: [
      {
        node: 'x-leaf-1',
        device: 'rack-3-leaf',
        opened: {
          read: async () => {
            asked++;
            const answer = answers();
            if (answer instanceof Error) throw answer;
            return { exitCode: 0, stdout: answer, stderr: '', truncated: false, wholeLineBytes: 0 };
          },
        },
      },
    ],
    clock: {
      kind,
      now: async () => (kind === 'virtual' ? nowNs : (nowNs += MS)),
      elapse: async () => true,
      truth: async () => [],
    },
    epochNs: 5 * SECOND,
    epochDateMs: DATE_MS,
    record: line => void lines.push(line),
    wait: async ns => void (nowNs += ns),
  });
  return { watch, lines, pass: (ns: number) => (nowNs += ns), now: () => nowNs, asked: () => asked };
}

void t.test('on wall time a line for each reading, against the date of the runner at the reservation', async t => {
  const device = watched('wall', () => {
    // The date at the reservation, what has passed since, and 250 ms.
    const unixNs = BigInt(DATE_MS) * 1_000_000n + BigInt(Math.round(device.now() - 5 * SECOND + 250 * MS));
    return `${unixNs / 1_000_000_000n}.${String(unixNs % 1_000_000_000n).padStart(9, '0')}\n`;
  });
  const { watch, lines } = device;
  await watch.read();
  t.match(lines, [{ kind: 'clock', device: 'rack-3-leaf' }]);
  const [line] = lines;
  t.ok(
    line?.kind === 'clock' && Math.abs(line.offsetNs - 250 * MS) <= line.boundNs && line.boundNs < MS,
    JSON.stringify(line),
  );
  await watch.due();
  t.equal(lines.length, 1, 'the last one is fresh');
  device.pass(6 * SECOND);
  await watch.due();
  t.equal(lines.length, 2);
  await watch.edge();
  t.equal(lines.length, 3);
  await Promise.all([watch.read(), watch.read()]);
  t.equal(lines.length, 4, 'two at once are one');
});

void t.test('on a virtual clock it is read when it is asked for, once, and exact', async t => {
  const { watch, lines, asked } = watched('virtual', () => '5.000000000\n');
  await watch.read();
  t.match(lines, [{ kind: 'clock', atNs: 0, boundNs: 1 }]);
  t.equal(asked(), 1);
  await watch.edge();
  await watch.due();
  t.equal(lines.length, 1);
});

void t.test('a device that does not answer is told once, left alone for a while, and asked again', async t => {
  const broken = new DeviceError('rack-3-leaf', 'date', 'no answer within 3 s', 'Look at it.');
  const { watch, lines, asked, pass } = watched('wall', () => broken);
  await watch.read();
  await watch.read();
  t.match(lines, [{ kind: 'event', node: 'x-leaf-1', what: 'its clock is not known: no answer within 3 s' }]);
  t.equal(asked(), 1);
  pass(11 * SECOND);
  await watch.read();
  t.equal(asked(), 2);
  t.equal(lines.length, 1, 'the same is not told twice');
});
