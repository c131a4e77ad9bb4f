import { magnitude } from '../../harness/model/units.ts';
import type { LabShape, PortShape } from './lab-shape.ts';
import { sonicConfigTables } from './sonic-config-tables.ts';

type Row = Record<string, string>;
/** Table, key, field: as `sonic-cfggen -d --print-data` prints it. */
export type ConfigTables = Record<string, Record<string, Row>>;

/** Most rows of a table, and longest value: what people set on a device must not fill this process. */
const MOST_ROWS = 10_000;
const LONGEST_VALUE = 1000;

/** CONFIG_DB of an emulated switch. Apart from the administrative state of ports it is kept and shown, and changes no packet. */
export interface ConfigDb {
  /** All of it now; not to be changed. */
  tables(): Readonly<ConfigTables>;
  row(table: string, key: string): Readonly<Row> | undefined;
  /** @returns false when there is no room for it */
  set(table: string, key: string, fields: Readonly<Row>): boolean;
  /** A field, or the row; with its last field a row is gone, as in Redis. @returns whether it was there */
  remove(table: string, key: string, field?: string): boolean;
  /** Puts in what was read before. */
  replace(tables: Readonly<ConfigTables>): void;
}

export interface ConfigDbOptions {
  readonly shape: LabShape;
  readonly node: string;
  readonly asn: (node: string) => number;
  /** The data plane has it. */
  readonly adminUp: (port: PortShape) => boolean;
  readonly setAdmin: (port: PortShape, up: boolean) => void;
}

export function sonicConfigDb({ shape, node, asn, adminUp, setAdmin }: ConfigDbOptions): ConfigDb {
  const ports = shape.ports(node);
  const { ecn } = shape.topology.settings;
  const identity = shape.identity(node);
  let kept: ConfigTables = {
    DEVICE_METADATA: {
      localhost: { bgp_asn: String(asn(node)), hostname: node, hwsku: 'Farspan-Emulated', mac: identity.baseMac },
    },
    PORT: Object.fromEntries(
      ports.map(({ devicePort, ifIndex, rateBps }) => {
        const lane = (ifIndex - 1) * 4;
        const lanes = [0, 1, 2, 3].map(i => lane + i).join(',');
        const speed = String(rateBps / 1e6);
        return [devicePort, { alias: `etp${ifIndex}`, fec: 'rs', lanes, mtu: '9100', pfc_asym: 'off', speed }];
      }),
    ),
    INTERFACE: Object.fromEntries(
      ports.flatMap(({ devicePort, address }) => [
        [devicePort, {}],
        [`${devicePort}|${address}/31`, {}],
      ]),
    ),
    BGP_NEIGHBOR: Object.fromEntries(
      ports
        .filter(({ far }) => shape.topology.switches.some(({ name }) => name === far.node))
        .map(({ farAddress, address, far }) => [
          farAddress,
          { asn: String(asn(far.node)), local_addr: address, name: far.node },
        ]),
    ),
    ...(ecn && {
      WRED_PROFILE: {
        AZURE_LOSSLESS: {
          green_max_threshold: String(magnitude(ecn.max)),
          green_min_threshold: String(magnitude(ecn.min)),
          green_drop_probability: String(Math.round(ecn.probability * 100)),
          wred_green_enable: 'true',
          ecn: 'ecn_all',
        },
      },
    }),
    ...structuredClone(sonicConfigTables(shape, node) as ConfigTables),
  };
  const own = <T>(of: Readonly<Record<string, T>>, key: string): T | undefined =>
    Object.hasOwn(of, key) ? of[key] : undefined;
  const row = (table: string, key: string): Row | undefined => own(own(kept, table) ?? {}, key);
  const portOf = (table: string, key: string): PortShape | undefined =>
    table === 'PORT' ? shape.portNamed(node, key) : undefined;

  return {
    tables: () => ({
      ...kept,
      PORT: Object.fromEntries(
        Object.entries(kept['PORT'] ?? {}).map(([name, fields]) => {
          const port = shape.portNamed(node, name);
          return [name, port ? { admin_status: adminUp(port) ? 'up' : 'down', ...fields } : fields];
        }),
      ),
    }),
    row,
    set(table, key, fields) {
      const rows = own(kept, table) ?? {};
      if (Object.keys(kept).length + Object.keys(rows).length >= MOST_ROWS) return false;
      if (Object.values(fields).some(value => value.length > LONGEST_VALUE)) return false;
      const { admin_status: admin, ...others } = fields;
      const port = portOf(table, key);
      if (port && admin !== undefined) setAdmin(port, admin !== 'down');
      kept = { ...kept, [table]: { ...rows, [key]: { ...rows[key], ...(port ? others : fields) } } };
      return true;
    },
    remove(table, key, field) {
      const rows = own(kept, table);
      const found = rows && own(rows, key);
      if (!rows || !found || (field !== undefined && !Object.hasOwn(found, field))) return false;
      const { [key]: _row, ...otherRows } = rows;
      const { [field ?? '']: _field, ...otherFields } = found;
      const whole = field === undefined || Object.keys(otherFields).length === 0;
      const left = whole ? otherRows : { ...rows, [key]: otherFields };
      const { [table]: _table, ...otherTables } = kept;
      kept = Object.keys(left).length === 0 ? otherTables : { ...kept, [table]: left };
      return true;
    },
    replace(tables) {
      const { PORT = {}, ...others } = structuredClone(tables) as ConfigTables;
      for (const [name, { admin_status: admin }] of Object.entries(PORT)) {
        const port = shape.portNamed(node, name);
        if (port && admin !== undefined && adminUp(port) !== (admin !== 'down')) setAdmin(port, admin !== 'down');
      }
      const withoutAdmin = Object.entries(PORT).map(([name, { admin_status: _admin, ...fields }]) => [name, fields]);
      kept = { ...others, PORT: Object.fromEntries(withoutAdmin) as Record<string, Row> };
    },
  };
}
