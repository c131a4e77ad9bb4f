import { magnitude } from '../model/units.ts';
import { bitRate, bytes, counted, duration } from './amount.ts';
import { atLeast, type Judged, undeclared } from './finding.ts';
import type { DeclaredSettings } from './linted-fabric.ts';
import type { LongWay } from './long-way.ts';

/** NCCL's default NCCL_BUFFSIZE. */
const NCCL_BUFFER_BYTES = 4 * 2 ** 20;
const NCCL_SOURCE = 'A channel has at most NCCL_BUFFSIZE in flight (default 4 MiB): NCCL environment variables';

/**
 * Windows that bound what a sender has in flight, and so its rate: NCCL's buffer per channel, and RoCE's own where one is declared.
 *
 * @param nicBps rate of one host's NIC; a window must fill the slower of it and the span
 */
export function inFlight(way: LongWay, { nccl, roce }: DeclaredSettings, nicBps?: number): readonly Judged[] {
  const wantedBps = Math.min(way.rateBps, nicBps ?? way.rateBps);
  const found = [channels(way, nccl, wantedBps)];
  if (roce?.window !== undefined) {
    const window = magnitude(roce.window);
    const most = (window * 8e9) / way.rttNs;
    const full = (wantedBps * way.rttNs) / 8e9;
    const enough = window >= full;
    found.push({
      check: 'RoCE window',
      severity: enough ? 'ok' : 'warning',
      value: bytes(window),
      needed: atLeast(bytes(full)),
      formula: `${bytes(window).text} / ${duration(way.rttNs).text} = ${bitRate(most).text} a flow; ${bitRate(wantedBps).text} needs ${bytes(full).text}`,
      source: 'RFC 6349, section 3.3.1: window = RTT x rate',
      advice: enough
        ? ''
        : `One flow gets ${bitRate(most).text} at most. Widen roce.window or spread the load over more queue pairs.`,
    });
  }
  return found;
}

function channels({ rttNs }: LongWay, nccl: DeclaredSettings['nccl'], wantedBps: number): Judged {
  const check = 'NCCL channels';
  const buffer = nccl === undefined ? NCCL_BUFFER_BYTES : magnitude(nccl.bufferSize);
  const each = (buffer * 8e9) / rttNs;
  const needed = Math.max(1, Math.ceil(wantedBps / each));
  const about = {
    check,
    needed: atLeast(counted(needed, needed === 1 ? 'channel' : 'channels')),
    formula: `${nccl?.bufferSize ?? '4 MiB (the default)'} / ${duration(rttNs).text} = ${bitRate(each).text} a channel; ${bitRate(wantedBps).text} / ${bitRate(each).text} = ${counted(wantedBps / each, 'channels').text}`,
    source: NCCL_SOURCE,
  };
  if (nccl?.channels === undefined) return undeclared(check, 'nccl (bufferSize and channels)', about);
  const enough = nccl.channels >= needed;
  return {
    ...about,
    severity: enough ? 'ok' : 'warning',
    value: counted(nccl.channels, nccl.channels === 1 ? 'channel' : 'channels'),
    advice: enough
      ? ''
      : `A NIC gets ${bitRate(each * nccl.channels).text} of ${bitRate(wantedBps).text} across this span. Raise NCCL_BUFFSIZE to ${bytes((wantedBps * rttNs) / 8e9 / nccl.channels).text}, or the channels to ${needed}.`,
  };
}
