import type { ShaperState, SpanShaper } from '../../binding/span-shaper.ts';
import { netemLimit } from '../../drivers/netem-span.ts';
import { fibreDelayPs } from '../../model/fibre-delay.ts';
import { magnitude, print } from '../../model/units.ts';
import type { InventorySpan } from '../inventory.ts';
import type { Finding } from './doctor-line.ts';

/** Kinds of fibre differ by under 1 % in group index; a plan's length is rounded. Our choice. */
const DELAY_WITHIN = 0.05;

/** Smallest full packet, as the driver of the box has it. */
const MTU_BYTES = 1024;

/** Egress of the box for each way (`drivers/netem-span.ts`). */
const EGRESS = { 'a-to-b': 'eth2', 'b-to-a': 'eth1' } as const;

/** Delay, loss and queue of a span's box against the length and rate of the span. */
export async function checkShaper(
  shaper: Pick<SpanShaper, 'read'>,
  span: InventorySpan | undefined,
): Promise<readonly Finding[]> {
  if (span === undefined) return [{ check: 'shaper', ok: true, detail: 'it plays no span of this inventory' }];
  const ways = ['a-to-b', 'b-to-a'] as const;
  const states = await Promise.all(ways.map(async way => ({ way, state: await shaper.read(way) })));
  const findings = states.flatMap(({ way, state }) => judgeShaper(span, way, state));
  if (findings.length > 0) return findings;
  const detail = `${span.name}: ${states.map(({ way, state }) => `${way} ${print(state.delayNs, 'duration')}`).join(', ')}, as ${span.length} are`;
  return [{ check: 'shaper', ok: true, detail }];
}

/** Pure. Empty when it is as a fibre of that length is. */
export function judgeShaper(
  { name, length, rate }: Pick<InventorySpan, 'name' | 'length' | 'rate'>,
  way: keyof typeof EGRESS,
  state: ShaperState,
): readonly Finding[] {
  const { light, loss, delayNs, queue } = state;
  const wantedNs = fibreDelayPs(magnitude(length)) / 1e3;
  const limit = netemLimit({ rateBps: magnitude(rate), delayNs: wantedNs, mtuBytes: MTU_BYTES });
  const dev = EGRESS[way];
  const put = `tc qdisc replace dev ${dev} root netem limit ${Math.max(limit, queue.limitPackets ?? 0)} delay ${Math.round(wantedNs) / 1e3}us`;
  const wrong = (detail: string, fix: string): Finding => ({ check: 'shaper', ok: false, detail, fix });
  return [
    ...(light
      ? []
      : [wrong(`${name} ${way} is dark`, `An earlier run may have left it so. On the box: ip link set dev ${dev} up`)]),
    ...(loss > 0
      ? [
          wrong(
            `${name} ${way} loses ${print(loss, 'share')}`,
            `An earlier run may have left it so. On the box: ${put}`,
          ),
        ]
      : []),
    ...(Math.abs(delayNs - wantedNs) > DELAY_WITHIN * wantedNs
      ? [
          wrong(
            `${name} ${way} delays by ${print(delayNs, 'duration')}; ${length} of fibre take ${print(wantedNs, 'duration')}`,
            `Correct the length in the inventory, or on the box: ${put}`,
          ),
        ]
      : []),
    ...(queue.kind === 'netem' && (queue.limitPackets ?? 0) < limit
      ? [
          wrong(
            `${name} ${way} holds ${queue.limitPackets ?? 'an unknown number of'} packets; ${rate} over ${length} need ${limit}`,
            `It would drop what a fibre carries. On the box: ${put}`,
          ),
        ]
      : []),
  ];
}
