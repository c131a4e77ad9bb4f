import { fibreDelayPs } from '../../harness/model/fibre-delay.ts';
import {
  FEC_THRESHOLDS,
  fibreRttS,
  frameLoss,
  kp4CodewordLoss,
  netCodingGainDb,
  osnrDb,
  outageBytes,
  requiredOsnrDb,
  ZR_400,
} from '../../emulators/fabric-sim/theory/optics.ts';
import { bdpBytes } from '../../emulators/fabric-sim/theory/tcp-response.ts';
import type { Comparison, ComparisonRow } from './comparison.ts';

const EARLIER = 'our own earlier evaluation, a regression target';

/** km; BDP at 400, 800 and 1600 Gb/s, MB. */
const BDPS = [
  [10, 4.9, 9.8, 19.6, 0.05],
  [100, 49, 98, 196, 0.5],
  [1000, 490, 979, 1959, 0.5],
  [1331, 652, 1304, 2607, 0.5],
] as const;

/** Route, km, RTT ms, source. */
const ROUTES = [
  [
    'Carteret NJ to Chicago, announced fibre route of 827 miles',
    1331,
    13.1,
    0.1,
    'Spread Networks 2010: 13.1 to 13.33 ms',
  ],
  ['Secaucus to Chicago, great circle', 1139, 11.15, 0.01, EARLIER],
  ['Boston to Montreal, great circle', 403, 3.95, 0.01, EARLIER],
  ['Boston to Montreal, 1.3 x line of sight', 524, 5.1, 0.05, `${EARLIER}; factors 1.3 and 2.1 of Bozkurt et al. 2018`],
  ['Boston to Montreal, 2.1 x line of sight', 846, 8.3, 0.05, `${EARLIER}; factors 1.3 and 2.1 of Bozkurt et al. 2018`],
  ['SDR-RDMA’s 3750 km on fibre (its 25 ms are light in vacuum)', 3750, 36.7, 0.05, EARLIER],
] as const;

export const optics: Comparison = {
  title: 'Optics: from kilometres to delay, and from bit errors to lost frames',
  source:
    'Corning SMF-28 (group index 1.4682); OIF-400ZR; OpenROADM oFEC; IEEE 802.3 (RS(544,514)); Spread Networks’ announced route; ' +
    'other values are our own earlier evaluations',
  method:
    'Closed forms. Curves between SNR and bit errors are erfc under Gaussian noise; soft-decision FEC is a steep threshold; what a real ' +
    '400ZR modem needs above the ideal curve is its implementation penalty and is not predicted, so its OSNR is a limit.',
  rows: () => [
    {
      what: 'one way over 1 km of fibre',
      unit: 'us',
      published: 4.897,
      ours: fibreDelayPs(1000) / 1e6,
      allowed: { absolute: 0.0005 },
    },
    {
      what: 'round trip over 100 km',
      unit: 'ms',
      published: 0.979,
      ours: fibreRttS(100e3) * 1e3,
      allowed: { absolute: 0.0006 },
    },
    ...ROUTES.map(
      ([route, km, published, absolute, note]): ComparisonRow => ({
        what: `round trip, ${route}, ${km} km`,
        unit: 'ms',
        published,
        ours: fibreRttS(km * 1e3) * 1e3,
        allowed: { absolute },
        note,
      }),
    ),
    ...BDPS.flatMap(([km, at400, at800, at1600, absolute]) =>
      (
        [
          [400, at400],
          [800, at800],
          [1600, at1600],
        ] as const
      ).map(
        ([gbps, published]): ComparisonRow => ({
          what: `BDP, ${km} km at ${gbps} Gb/s`,
          unit: 'MB',
          published,
          ours: bdpBytes({ rateBps: gbps * 1e9, rttS: fibreRttS(km * 1e3) }) / 1e6,
          allowed: { absolute },
          note: EARLIER,
        }),
      ),
    ),
    ...(
      [
        [1e-12, 3.3e-8],
        [1e-15, 3.3e-11],
      ] as const
    ).map(
      ([ber, published]): ComparisonRow => ({
        what: `loss of a frame of 4178 B at a bit error rate of ${ber.toExponential(0)} after FEC`,
        unit: '',
        published,
        ours: frameLoss(ber, 4178),
        allowed: { relative: 0.02 },
        note: EARLIER,
      }),
    ),
    {
      what: 'oFEC, 16QAM: net coding gain at 2.0e-2 in, 1e-15 out',
      unit: 'dB',
      published: 11.6,
      ours: netCodingGainDb(FEC_THRESHOLDS.ofec, 111 / 128),
      allowed: { absolute: 0.1 },
      note: 'rate 111/128: each bit lies in two extended BCH(256,239) words',
    },
    {
      what: 'KP4: loss of a codeword at 2.4e-4 in, against the loss of a 64 B frame at a bit error rate of 1e-12',
      unit: '',
      published: 5.12e-10,
      ours: kp4CodewordLoss(FEC_THRESHOLDS.kp4.preFec),
      allowed: { bound: 'at-most' },
      note: '5.12e-10: P. Anslow, IEEE 802.3 100GNGOPTX list, 2012-11-23. Independent errors; bursts of a real receiver are why the limit leaves room',
    },
    {
      what: '400ZR: OSNR that an ideal DP-16QAM modem needs at 1.25e-2, against the 26 dB of the agreement',
      unit: 'dB',
      published: ZR_400.osnrDb,
      ours: requiredOsnrDb({ preFec: FEC_THRESHOLDS.cfec.preFec, baud: ZR_400.baud }),
      allowed: { bound: 'at-most' },
      note: 'the rest is the implementation penalty of a real modem',
    },
    {
      what: '400ZR amplified, one span of 120 km at 0.22 dB/km, 0 dBm a channel, noise figure 5 dB: OSNR against the 26 dB of the agreement',
      unit: 'dB',
      published: ZR_400.osnrDb,
      ours: osnrDb({ launchDbm: 0, spanLossDb: 0.22 * (ZR_400.amplifiedMetres / 1e3), noiseFigureDb: 5, spans: 1 }),
      allowed: { bound: 'at-least' },
      note: 'launch power, attenuation and noise figure are ours',
    },
    {
      what: '400ZR: chromatic dispersion of 120 km at 17 ps/nm km, against 2400 ps/nm',
      unit: 'ps/nm',
      published: ZR_400.dispersionPsPerNm,
      ours: (17 * ZR_400.amplifiedMetres) / 1e3,
      allowed: { bound: 'at-most' },
    },
    {
      what: 'lost in 50 ms of protection switching at 1.6 Tb/s',
      unit: 'GB',
      published: 10,
      ours: outageBytes({ rateBps: 1.6e12, darkS: 0.05 }) / 1e9,
      allowed: { relative: 1e-9 },
      note: EARLIER,
    },
  ],
};
