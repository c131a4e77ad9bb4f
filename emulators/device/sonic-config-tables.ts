import { PAUSE_QUANTA, sonicXoffBytes } from '../../harness/model/pfc-headroom.ts';
import { magnitude } from '../../harness/model/units.ts';
import type { LabShape } from './lab-shape.ts';

/** The lossless priority. */
const LOSSLESS = 3;
/** Rates of which no pause quanta are published answer like the fastest that has them. */
const MOST_QUANTA = 905;

type Table = Readonly<Record<string, Readonly<Record<string, string>>>>;

/**
 * CONFIG_DB's tables of buffers, cables and PFC, as a SONiC switch has them whose operator has set what the topology declares: cable
 * lengths are the true ones, and headroom is declared, or SONiC's formula.
 */
export function sonicConfigTables(shape: LabShape, node: string): Readonly<Record<string, Table>> {
  const { links, spans, settings } = shape.topology;
  const { pfc, bufferPerSwitch } = settings;
  const metresOf = new Map(
    [...links, ...Object.values(spans)].flatMap(({ ends, length }) =>
      ends.flatMap(end => (end.node === node ? [[end.port, magnitude(length)] as const] : [])),
    ),
  );
  const ports = shape.ports(node).map(({ devicePort, port, rateBps, span }) => {
    const metres = metresOf.get(port) ?? 0;
    return {
      devicePort,
      rateBps,
      metres,
      lossless: pfc !== null && (span === undefined || pfc.overSpans === true),
      profile: `pg_lossless_${rateBps / 1e6}_${metres}m_profile`,
    };
  });
  const lossless = ports.filter(port => port.lossless);
  const headroom = ({ rateBps, metres }: (typeof ports)[number]): number =>
    pfc?.headroom === undefined
      ? sonicXoffBytes({
          rateBps,
          metres,
          portMtuBytes: 9100,
          losslessMtuBytes: 1024,
          macPhyBytes: 0.8 * 1024,
          peerQuanta: PAUSE_QUANTA[rateBps / 1e6] ?? MOST_QUANTA,
        })
      : magnitude(pfc.headroom);
  return {
    BUFFER_POOL: {
      ingress_lossless_pool: { mode: 'dynamic', size: String(magnitude(bufferPerSwitch)), type: 'ingress' },
    },
    BUFFER_PROFILE: Object.fromEntries(
      lossless.map(port => [
        port.profile,
        {
          dynamic_th: '0',
          pool: 'ingress_lossless_pool',
          size: String(headroom(port)),
          xoff: String(headroom(port)),
          xon: '0',
        },
      ]),
    ),
    BUFFER_PG: Object.fromEntries(
      lossless.map(({ devicePort, profile }) => [`${devicePort}|${LOSSLESS}`, { profile }]),
    ),
    CABLE_LENGTH: { AZURE: Object.fromEntries(ports.map(({ devicePort, metres }) => [devicePort, `${metres}m`])) },
    PORT_QOS_MAP: Object.fromEntries(lossless.map(({ devicePort }) => [devicePort, { pfc_enable: String(LOSSLESS) }])),
  };
}
