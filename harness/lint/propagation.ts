import { bitRate, bytes, distance, duration } from './amount.ts';
import type { Judged } from './finding.ts';
import type { LongWay } from './long-way.ts';

const FIBRE = 'Group index 1.4682: Corning SMF-28 data sheet, G.652.D at 1550 nm';

/** One-way delay, RTT and BDP of a span: quantities, no limits. */
export function propagation({
  metres,
  rateBps,
  forwardNs,
  backNs,
  asymmetryNs,
  rttNs,
  bdpBytes,
}: LongWay): readonly Judged[] {
  const [far, rtt, bdp] = [distance(metres), duration(rttNs), bytes(bdpBytes)];
  const info = { severity: 'info', needed: null, advice: '' } as const;
  const oneWay: Judged[] = [
    {
      ...info,
      check: 'delay, one way',
      value: duration(backNs),
      formula: `${far.text} x 1.4682 / 299,792,458 m/s = ${duration(backNs).text} (4.897 us/km)`,
      source: FIBRE,
    },
  ];
  if (asymmetryNs > 0) {
    oneWay.push({
      ...info,
      check: 'asymmetry',
      value: duration(asymmetryNs),
      formula: `first end to second ${duration(forwardNs).text}, back ${duration(backNs).text}: half the RTT is ${duration(asymmetryNs / 2).text} off for either way`,
      source: 'RFC 5905, section 8: NTP takes half the RTT for either way',
      advice:
        'Do not judge one-way delays by half an RTT, and give the clocks of the sites another source than NTP over this span.',
    });
  }
  return [
    ...oneWay,
    {
      ...info,
      check: 'RTT',
      value: rtt,
      formula: `${duration(forwardNs).text} + ${duration(backNs).text} = ${rtt.text}`,
      source: FIBRE,
    },
    {
      ...info,
      check: 'BDP',
      value: bdp,
      formula: `${bitRate(rateBps).text} x ${rtt.text} / 8 = ${bdp.text} in flight when the span is full`,
      source: 'RFC 6349, section 3.3.1: BDP = RTT x bandwidth',
    },
  ];
}
