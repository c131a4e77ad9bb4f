import { goBackNEfficiency, selectiveRepeatEfficiency } from '../../harness/model/loss-recovery.ts';
import { ROCE_OVERHEAD_BYTES } from '../../emulators/fabric-sim/fabric/wire-size.ts';
import type { Comparison, ComparisonRow } from './comparison.ts';
import { lossyLine } from './lossy-line.ts';

const MTU_BYTES = 1024;
const RATE_BPS = 10e9;
const PACKET_PS = ((MTU_BYTES + ROCE_OVERHEAD_BYTES) * 8e12) / RATE_BPS;
/** 226 packet times: the same formula at a bandwidth-delay product that runs in seconds. */
const RTT_PS = 200e6;
/** Packets sent from a lost one until the sender hears of it: a round trip, the packet itself, and the one after it that shows the gap. */
const WINDOW = RTT_PS / PACKET_PS + 2;
/** 400 Gb/s over 13 ms in packets of 4 KiB. */
const LONG_HAUL_WINDOW = 159_000;
const PACKETS = 800_000;

/** Share of the link that is delivered, %. */
function goodput(recovery: 'go-back-n' | 'selective-repeat', loss: number): number {
  const { network, flow } = lossyLine({
    rate: '10 Gb/s',
    rttPs: RTT_PS,
    loss,
    seed: 7,
    roce: { mtu: `${MTU_BYTES} B`, retransmitTimeout: '300 us' },
    transport: { control: 'none', recovery, acknowledgeEvery: 1, selectiveRepeat: { reorder: 1 } },
  });
  network.advance(5 * RTT_PS);
  const before = flow.delivered();
  network.advance(network.nowPs + Math.round(PACKETS * PACKET_PS));
  return (100 * (flow.delivered() - before)) / (PACKETS * MTU_BYTES);
}

const REFERENCE = 'InfiniBand go-back-N at 400 Gb/s over 13 ms, our own earlier evaluation of the formula';

export const selectiveRepeatLoss: Comparison = {
  title: 'Random loss on a long fibre: go-back-N against selective repeat, packet by packet',
  source: 'Bertsekas and Gallager, Data Networks, 2.4: (1 - p)/(1 - p + p W) and 1 - p',
  method:
    `One flow at line rate over one fibre, 10 Gb/s, 200 us there and back (W = ${Math.round(WINDOW)} packets), independent loss, ${PACKETS} packet times, one seed. ` +
    'Losses are chosen so that p W is that of 400 Gb/s over 13 ms (W = 159,000). A repetition that is lost too costs go-back-N a time-out, which the formula leaves out.',
  rows: () => {
    const rows: ComparisonRow[] = [];
    for (const longHaul of [1e-7, 1e-6, 1e-5]) {
      const loss = (longHaul * LONG_HAUL_WINDOW) / WINDOW;
      const like = `loss ${loss.toPrecision(2)} (as ${longHaul.toExponential(0)} at 400 Gb/s over 13 ms)`;
      const ours = goodput('go-back-n', loss);
      rows.push({
        what: `go-back-N, ${like}`,
        unit: '% of the link',
        published: 100 * goBackNEfficiency({ loss, window: WINDOW }),
        ours,
        allowed: { relative: 0.03 },
      });
      const printed = longHaul === 1e-6 ? 86 : longHaul === 1e-5 ? 39 : undefined;
      if (printed !== undefined)
        rows.push({
          what: `go-back-N at a loss of ${longHaul.toExponential(0)}, 400 Gb/s over 13 ms, by the same p W`,
          unit: '% of the link',
          published: printed,
          ours,
          allowed: { absolute: 2 },
          note: REFERENCE,
        });
      rows.push({
        what: `selective repeat, ${like}`,
        unit: '% of the link',
        published: 100 * selectiveRepeatEfficiency(loss),
        ours: goodput('selective-repeat', loss),
        allowed: { absolute: 0.1 },
      });
    }
    return rows;
  },
};
