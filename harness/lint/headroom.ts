import { PAUSE_QUANTA, sonicXoffBytes } from '../model/pfc-headroom.ts';
import { bitRate, bytes, distance } from './amount.ts';

/** SONiC's port MTU, its lossless MTU and its ASIC table's MAC and PHY delay: what a SONiC switch computes with unless told otherwise. */
const PORT = { portMtuBytes: 9100, losslessMtuBytes: 1024, macPhyBytes: 0.8 * 1024 };

export const HEADROOM_SOURCE =
  'sonic-net/sonic-swss, cfgmgr/buffer_headroom_mellanox.lua; pause quanta: IEEE 802.3 31B.3.7';

export interface Headroom {
  readonly bytes: number;
  /** Whether the peer's response is in it. It is not for rates of which no pause quanta are published: then it needs more than this. */
  readonly complete: boolean;
  readonly formula: string;
}

/** Buffer that a lossless ingress port needs above xoff for a cable of this length, per priority. */
export function headroom(cable: { readonly rateBps: number; readonly metres: number }): Headroom {
  const quanta = PAUSE_QUANTA[cable.rateBps / 1e6];
  const complete = quanta !== undefined;
  const needed = sonicXoffBytes({ ...PORT, ...cable, peerQuanta: quanta ?? 0 });
  const response = complete
    ? `peer response ${quanta} x 512 / 8 B`
    : `the peer's response, of which no quanta are published for ${bitRate(cable.rateBps).text}`;
  return {
    bytes: needed,
    complete,
    formula:
      `1024 B + ${PORT.portMtuBytes} B + 2 x ${distance(cable.metres).text} x ${bitRate(cable.rateBps).text} / 1.98e8 m/s / 8 x 1000/1024 + ` +
      `MAC and PHY ${Math.round(PORT.macPhyBytes)} B + ${response} = ${complete ? '' : 'more than '}${bytes(needed).text}`,
  };
}
