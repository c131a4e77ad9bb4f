import http from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { DeviceError } from '../../../harness/binding/device-error.ts';
import { virtualClock } from '../../../harness/lab/lab-clock.ts';
import type { Step } from '../../../harness/model/record.ts';

/** A clock service that answers each request as it is told, and the clock that asks it. */
async function clockAt(test: { teardown(act: () => void): void }, answer: http.RequestListener) {
  const server = http.createServer(answer);
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve));
  test.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const steps: Step[] = [];
  const clock = virtualClock({
    url: `http://127.0.0.1:${port}`,
    step: step => void steps.push(step),
    deadlineMs: 400,
  });
  return { clock, steps };
}

void t.test('a clock service that misbehaves ends in one device error, in time, harmless to a terminal', async t => {
  const wrong: Readonly<Record<string, { answer: http.RequestListener; says: RegExp }>> = {
    hangs: { answer: () => {}, says: /timeout/ },
    'says 500': { answer: (_, response) => void response.writeHead(500).end('\u001b[2J'), says: /HTTP 500: \\x1b\[2J/ },
    'speaks nonsense': { answer: (_, response) => void response.end('\u001b{"ns":'), says: /no Farspan clock service/ },
    'has no number': { answer: (_, response) => void response.end('{"ns":1e400}'), says: /no Farspan clock service/ },
    'sends too much': { answer: (_, response) => void response.end('x'.repeat(1e6)), says: /longer than 65536 bytes/ },
    'sends elsewhere': {
      answer: (_, response) => void response.writeHead(302, { location: '/now' }).end(),
      says: /redirect/,
    },
  };
  for (const [name, { answer, says }] of Object.entries(wrong)) {
    const { clock, steps } = await clockAt(t, answer);
    const error: unknown = await clock.now().catch((thrown: unknown) => thrown);
    t.ok(error instanceof DeviceError, name);
    t.match((error as Error).message, says, name);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not reach a terminal
    // oxlint-disable-next-line no-control-regex
    t.notMatch(`${(error as Error).message}${JSON.stringify(steps)}`, /[\u0000-\u0008\u001b]|\\u001b/, name);
  }
});

void t.test('a clock never goes back, and truth that is no record is refused', async t => {
  const times = [5, 7, 7, 6];
  const { clock } = await clockAt(t, (request, response) => {
    if (request.url === '/truth') response.end('{"kind":"end"}\n\u001b{oops\n');
    else response.end(JSON.stringify({ ns: times.shift() }));
  });
  t.equal(await clock.now(), 5);
  t.equal(await clock.elapse({ forNs: 2 }), true);
  t.equal(await clock.now(), 7);
  await t.rejects(clock.now(), { name: 'DeviceError', message: /went back from 7 ns to 6 ns/ });
  await t.rejects(clock.truth(), { name: 'DeviceError', message: /\\x1b\{oops/ });
});
