import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { AddressInfo } from 'node:net';
import type { RecordLine } from '../../harness/model/record.ts';
import type { SimJob } from '../fabric-sim/index.ts';
import type { DataPlaneClock } from './data-plane-clock.ts';

export interface ClockServiceOptions {
  readonly clock: DataPlaneClock;
  /** 0 for any free port. */
  readonly port: number;
  readonly job: (host: string, pid: number) => SimJob | undefined;
  readonly truth: () => Iterable<RecordLine>;
  /** Resolves when the devices have done what the passed time made them do, such as listening again after a boot. */
  readonly settled: () => Promise<void>;
}

export interface ClockService {
  readonly url: string;
  close(): Promise<void>;
}

const LARGEST_BODY = 4096;

class BadRequest extends Error {}

async function body(request: IncomingMessage): Promise<Record<string, unknown>> {
  let text = '';
  for await (const chunk of request) {
    text += String(chunk);
    if (text.length > LARGEST_BODY) throw new BadRequest(`body larger than ${LARGEST_BODY} characters`);
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new BadRequest('body is not JSON');
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw new BadRequest('body is not a JSON object');
  return parsed as Record<string, unknown>;
}

const inRange = (value: unknown, what: string, least: number): number => {
  if (typeof value !== 'number' || !(value >= least) || value > Number.MAX_SAFE_INTEGER / 1e3)
    throw new BadRequest(`${what} is not a number of at least ${least}`);
  return value;
};

/** Rounds that stand in the file when at least `asked` shall: a row holds two. */
const shownRounds = (asked: number): number => 2 * Math.ceil(asked / 2);

/** The clock service of an emulated lab; `docs/emulated-lab.md` has the requests. */
export async function startClockService({
  clock,
  port,
  job,
  truth,
  settled,
}: ClockServiceOptions): Promise<ClockService> {
  const nowNs = (): number => clock.nowPs / 1e3;

  const elapse = async (request: IncomingMessage, signal: AbortSignal): Promise<unknown> => {
    const asked = await body(request);
    if (asked.forNs !== undefined) {
      const untilPs = clock.nowPs + Math.round(inRange(asked.forNs, 'forNs', 0) * 1e3);
      const met = await clock.wait({ untilPs, signal });
      await settled();
      return { ns: nowNs(), met };
    }
    const rounds = inRange(asked.rounds, 'rounds', 1);
    const withinNs = inRange(asked.withinNs, 'withinNs', 0);
    const found =
      typeof asked.host === 'string' && typeof asked.pid === 'number' ? job(asked.host, asked.pid) : undefined;
    if (!found)
      throw new BadRequest(
        `no collective runs as process ${String(asked.pid).slice(0, 20)} on ${String(asked.host).slice(0, 80)}`,
      );
    const met = await clock.wait({
      untilPs: clock.nowPs + Math.round(withinNs * 1e3),
      until: { job: found, rounds: shownRounds(rounds) },
      signal,
    });
    await settled();
    return { ns: nowNs(), met };
  };

  const respond = (response: ServerResponse, status: number, value: unknown): void => {
    if (response.destroyed) return;
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(`${JSON.stringify(value)}\n`);
  };

  function* linesOf(lines: Iterable<object>): Iterable<string> {
    for (const line of lines) yield `${JSON.stringify(line)}\n`;
  }

  const server = createServer((request, response) => {
    const gone = new AbortController();
    response.on('close', () => gone.abort());
    const handle = async (): Promise<void> => {
      const what = `${request.method} ${request.url}`;
      if (what === 'GET /now') return respond(response, 200, { ns: nowNs() });
      if (what === 'POST /elapse') return respond(response, 200, await elapse(request, gone.signal));
      if (what === 'GET /truth') {
        response.writeHead(200, { 'content-type': 'application/x-ndjson' });
        // A client that goes away is no error of ours.
        await pipeline(Readable.from(linesOf(truth())), response).catch(() => {});
        return;
      }
      respond(response, 404, { error: `unknown request. Known: GET /now, POST /elapse, GET /truth` });
    };
    handle().catch((thrown: unknown) => {
      const message = thrown instanceof Error ? thrown.message : String(thrown);
      if (response.headersSent) response.destroy();
      else respond(response, thrown instanceof BadRequest ? 400 : 500, { error: message });
    });
  });
  // A long elapse is one request.
  server.requestTimeout = 0;
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
