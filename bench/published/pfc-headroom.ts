import { pauseS, peerResponseBytes, sonicXoffBytes } from '../../harness/model/pfc-headroom.ts';
import type { Comparison, ComparisonRow } from './comparison.ts';

const EARLIER = 'our own earlier evaluation of the formula, a regression target';

/** Port MTU 9100 B, lossless MTU 1 KiB, MAC/PHY 0.8 KiB, no small packets: what the earlier evaluation used. */
const PORT = { portMtuBytes: 9100, losslessMtuBytes: 1024, macPhyBytes: 0.8 * 1024 };

/** Gb/s, km, MB. */
export const HEADROOMS = [
  [400, 0.3, 0.217],
  [400, 2, 1.06],
  [400, 10, 5.0],
  [400, 40, 19.8],
  [400, 80, 39.5],
  [400, 100, 49.4],
  [400, 1331, 657],
  [800, 10, 9.9],
  [800, 100, 98.7],
  [800, 1331, 1313],
] as const;

export const pfcHeadroom: Comparison = {
  title: 'PFC: headroom above xoff',
  source:
    'sonic-net/sonic-swss, cfgmgr/buffer_headroom_mellanox.lua (formula and pause quanta); response times in bit times from ' +
    'Cisco’s Nexus guides; IEEE 802.3 31B',
  method:
    'SONiC’s xoff with a port MTU of 9100 B and no small packets. Its KiB scaling makes 1.23 MB per km and Tb/s of the 1.26 MB that 2 d rate / v is.',
  rows: () => [
    ...HEADROOMS.map(
      ([gbps, km, published]): ComparisonRow => ({
        what: `SONiC xoff, ${gbps} Gb/s, ${km} km`,
        unit: 'MB',
        published,
        ours: sonicXoffBytes({ ...PORT, rateBps: gbps * 1e9, metres: km * 1e3 }) / 1e6,
        allowed: { relative: 0.01 },
        note: EARLIER,
      }),
    ),
    ...(
      [
        [100, 201_728],
        [400, 463_360],
      ] as const
    ).map(
      ([gbps, published]): ComparisonRow => ({
        what: `peer response, ${gbps} Gb/s (Cisco)`,
        unit: 'bit times',
        published,
        ours: 8 * peerResponseBytes(gbps * 1e9),
        allowed: { relative: 0 },
      }),
    ),
    {
      what: 'longest pause, 65535 quanta at 400 Gb/s',
      unit: 'us',
      published: 83.9,
      ours: pauseS(65535, 400e9) * 1e6,
      allowed: { absolute: 0.05 },
      note: EARLIER,
    },
  ],
};
