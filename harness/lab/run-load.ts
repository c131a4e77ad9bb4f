import type { CollectiveJob } from '../binding/host.ts';
import type { RunningLoad } from '../binding/testbed.ts';
import { rulesOf } from '../loads/load-rules.ts';
import type { Load } from '../model/load.ts';
import { addressOf, deviceOf, hostOf, nowOf, type OpenLab } from './open-lab.ts';

/** Why a lab can not play a load, in words; undefined when it can. */
export function refusesLoad(load: Load): string | undefined {
  if (load.kind === 'all-reduce' && load.algorithm === 'hierarchical') {
    return 'nccl-tests has no program for a hierarchical all-reduce across sites; its algorithm is chosen inside NCCL. The sim world plays it.';
  }
  if (load.kind === 'permutation' && load.shift !== 1) {
    return `sendrecv_perf sends to the next rank only (shift 1); a shift of ${load.shift} needs an RDMA flow generator.`;
  }
  switch (load.kind) {
    case 'flow-doubling':
      return 'flows that start and join at set times need an RDMA flow generator; nccl-tests has none.';
    case 'expert-all-to-all':
      return 'alltoall_perf gives every peer an equal part; unequal parts need a program that nccl-tests does not have. The sim world plays it.';
    case 'pipeline':
      return 'nccl-tests has no pipeline of stages that compute; it needs a training job. The sim world plays it.';
    case 'training-iteration':
      return 'nccl-tests does not compute; an iteration needs a training job. The sim world plays it.';
    case 'storage':
      return 'storage traffic needs a storage client on every host; no driver starts one yet. The sim world plays it.';
    default:
      return undefined;
  }
}

/** The hosts of a load, rank 0 first. */
export function ranksOf(load: Load, hosts: readonly string[]): readonly string[] {
  if (load.kind !== 'incast') return hosts;
  if (hosts.length < load.senders + 1)
    throw new RangeError(
      `An incast of ${load.senders} senders needs ${load.senders + 1} hosts, the topology has ${hosts.length}.`,
    );
  return hosts.slice(0, load.senders + 1);
}

/** A load that a lab runs, and what a clock service needs to stop at its rounds. */
export interface LabLoad extends RunningLoad {
  readonly host: string;
  readonly pid: number;
  readonly running: () => boolean;
}

/**
 * Starts a load on its first host and turns the tool's rows into rounds.
 *
 * nccl-tests prints how long a round took, not when: round i begins where round i - 1 ended, and round 0 when the command was
 * acknowledged. So a round's instants carry the start offset (the tool's own start-up, nothing in an emulated lab) and the sum of the
 * printed times' rounding: 0.005 us below 1 ms, up to 0.5 us above 100 ms (`getFloatStr`: 7 characters).
 * busbw is computed from the printed time: it has up to 7 digits, the printed busbw at most 6.
 */
export async function runLoad(lab: OpenLab, load: Load): Promise<LabLoad> {
  const ranks = ranksOf(
    load,
    lab.topology.hosts.map(({ name }) => name),
  );
  const [first = ''] = ranks;
  const job: CollectiveJob = await hostOf(lab, first).startCollective(
    load,
    ranks.map(rank => addressOf(lab, rank)),
  );
  const busBits = 8e9 * rulesOf(load).busBytes(load, ranks.length);
  let endNs = await nowOf(lab);
  let done = 0;
  let stopped: Promise<void> | undefined;
  let polling: Promise<void> = Promise.resolve();

  const poll = async (): Promise<void> => {
    for (const { timeUs, wrong } of await job.rows(done)) {
      const beginNs = endNs;
      const timeNs = timeUs * 1000;
      endNs = beginNs + timeNs;
      lab.record({ kind: 'round', round: done, beginNs, endNs, busbwBps: timeNs > 0 ? busBits / timeNs : 0, wrong });
      done++;
    }
  };
  /** One poll at a time: two would write the same rounds. */
  const rounds = async (): Promise<number> => {
    const turn = polling.then(() => (stopped ? undefined : poll()));
    polling = turn.catch(() => undefined);
    await turn;
    return done;
  };
  return {
    host: deviceOf(lab, first),
    pid: job.pid,
    running: () => stopped === undefined,
    rounds,
    stop() {
      stopped ??= (async () => {
        try {
          await polling;
          await poll();
        } finally {
          await job.stop();
        }
      })();
      return stopped;
    },
  };
}
