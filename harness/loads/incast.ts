import type { Load } from '../model/load.ts';
import { magnitude, type Size } from '../model/units.ts';
import { concurrentRateBps } from './concurrent-rate.ts';
import type { LoadRules } from './flow.ts';

type Incast = Extract<Load, { kind: 'incast' }>;

/** `senders` hosts, the second of the topology and on, send `bytes` each to the first host at once. */
export const incast = ({ bytes, senders }: { readonly bytes: Size; readonly senders: number }): Incast => ({
  kind: 'incast',
  bytes,
  senders,
});

export const incastRules: LoadRules<Incast> = {
  hasRounds: true,
  /** @throws RangeError when the topology has too few hosts */
  flows(load, { name, hosts }) {
    const [target, ...others] = hosts;
    if (!target || !Number.isInteger(load.senders) || load.senders < 1 || load.senders > others.length) {
      throw new RangeError(
        `An incast of ${load.senders} senders needs ${load.senders + 1} hosts, ${name} has ${hosts.length}.`,
      );
    }
    return others
      .slice(0, load.senders)
      .map(source => ({ source: source.name, target: target.name, bytes: magnitude(load.bytes) }));
  },
  /**
   * The receiver's rate: T = OWD + senders x bytes / B, where B is the receiver's NIC or what the uplinks and spans before it carry,
   * and OWD that of the nearest sender, whose bytes can fill the wire while the others' travel; but no flow ends before
   * its own OWD + bytes/B_NIC.
   */
  bestRoundNs(load, on) {
    const flows = incastRules.flows(load, on.topology);
    const rateBps = concurrentRateBps(
      on,
      flows.map(({ source, target }) => ({ source, target, weight: 1 })),
    );
    if (rateBps === undefined) return undefined;
    const delays = flows.map(({ source, target }) => on.delayNs(source, target) ?? Number.NaN);
    const bits = 8e9 * magnitude(load.bytes);
    const alone = flows.map(
      ({ source }, i) => (delays[i] as number) + bits / ((on.nic(source)?.rateBps ?? Number.NaN) * on.efficiency),
    );
    return Math.max(Math.min(...delays) + bits / rateBps, ...alone);
  },
  /**
   * What the receiver gets: senders x bytes. It is gather_perf's busbw: its size is the receive buffer, bytes x (senders + 1), and its
   * factor (n-1)/n (nccl-tests src/gather.cu).
   */
  busBytes: load => load.senders * magnitude(load.bytes),
};
