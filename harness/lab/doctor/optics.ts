import { type Transceiver, parseTransceivers, transceiverNumber } from '../../drivers/sonic/transceivers.ts';
import type { SnmpSession, SnmpValue } from '../../drivers/snmp.ts';
import type { Finding } from './doctor-line.ts';
import { ask, cabledPorts, type OpenDevice } from './open-device.ts';

/** Receive power of a lit coherent optic, dBm, and what a dark one reads (featureprofiles, tests of ZR optics). */
export const RX_POWER_DBM = { least: -14, most: 0, dark: -40 };

/** ENTITY-MIB (RFC 6933) and ENTITY-SENSOR-MIB (RFC 3433). */
const ENTITY = { descr: '1.3.6.1.2.1.47.1.1.1.1.2', name: '1.3.6.1.2.1.47.1.1.1.1.7' };
const SENSOR = '1.3.6.1.2.1.99.1.1.1';
const COLUMN = { type: 1, scale: 2, precision: 3, value: 4, status: 5 };
/** EntitySensorDataType: watts in RFC 3433, dBm in IANA's registry of it. */
const WATTS = 6;
const DBM = 14;
const STATUS_OK = 1;
/** EntitySensorDataScale counts in thousands from units(9). */
const UNITS = 9;

const COMMAND = 'show interfaces transceiver eeprom --dom';

export interface RxPower {
  readonly port: string;
  /** Of the weakest lane, dBm; null when the sensor says that it can not tell. */
  readonly dBm: number | null;
}

const text = (value: SnmpValue | undefined): string => (Buffer.isBuffer(value) ? value.toString('utf8') : '');

/** The weakest lane of each port. Not telling is weaker than anything. */
function weakest(readings: readonly RxPower[]): readonly RxPower[] {
  const byPort = new Map<string, number | null>();
  for (const { port, dBm } of readings) {
    const before = byPort.get(port);
    byPort.set(port, before === undefined ? dBm : before === null || dBm === null ? null : Math.min(before, dBm));
  }
  return [...byPort].map(([port, dBm]) => ({ port, dBm }));
}

/** What the sensors of an agent say of receive power, by the port that their name has. Empty: it has none. @throws DeviceError */
export async function rxPowerOf(snmp: Pick<SnmpSession, 'walk' | 'table'>): Promise<readonly RxPower[]> {
  const sensors = await snmp.table(SENSOR, Object.values(COLUMN));
  if (sensors.size === 0) return [];
  const [names, descriptions] = [await snmp.walk(ENTITY.name), await snmp.walk(ENTITY.descr)];
  const readings = [...sensors].flatMap(([index, row]): RxPower[] => {
    const said = `${text(names.get(`${ENTITY.name}.${index}`))} ${text(descriptions.get(`${ENTITY.descr}.${index}`))}`;
    const port = /\bEthernet\d{1,4}\b/.exec(said.replaceAll('/', ' '))?.[0];
    if (port === undefined || !/\b(rx|receive)\b/i.test(said)) return [];
    const dBm = powerOf(row);
    return dBm === undefined ? [] : [{ port, dBm }];
  });
  return weakest(readings);
}

/** Undefined: no sensor of power. */
function powerOf(row: Readonly<Record<number, SnmpValue>>): number | null | undefined {
  const [type, scale, precision, value, status] = Object.values(COLUMN).map(column => row[column]);
  if (type !== DBM && type !== WATTS) return undefined;
  if (status !== STATUS_OK || typeof value !== 'number' || typeof scale !== 'number' || typeof precision !== 'number')
    return null;
  const amount = (value * 1000 ** (scale - UNITS)) / 10 ** precision;
  if (type === DBM) return amount;
  return amount > 0 ? 10 * Math.log10(amount * 1000) : RX_POWER_DBM.dark;
}

/** The same from SONiC's command line: `RX1Power: -3.85dBm`, one line a lane. Pure. */
export const rxPowerFrom = (transceivers: readonly Transceiver[]): readonly RxPower[] =>
  weakest(
    transceivers.flatMap(({ port, values }) =>
      [...values].flatMap(([key, value]): RxPower[] =>
        /(^|\/)RX\d+Power$/i.test(key) ? [{ port, dBm: transceiverNumber(value, 'dBm') }] : [],
      ),
    ),
  );

/** Receive power of the cabled ports, over SNMP where the agent has the sensors, else from the command line. */
export async function checkOptics(device: OpenDevice): Promise<readonly Finding[]> {
  const { name, inventory, snmp } = device;
  const bySnmp = snmp === undefined ? [] : await rxPowerOf(snmp);
  const powers = bySnmp.length > 0 ? bySnmp : rxPowerFrom(await ask(device, COMMAND, parseTransceivers));
  const onSpan = inventory.spans.flatMap(({ ends }) => ends).map(end => end.split(' '));
  return judgeOptics(powers, {
    cabled: cabledPorts(inventory, name),
    spans: onSpan.flatMap(([owner, port = '']) => (owner === name ? [port] : [])),
  });
}

const dBmWords = (dBm: number): string => `${Math.round(dBm * 100) / 100} dBm`;

/** Pure. A copper cable has no optic, so a port inside a site that tells nothing is only counted; the end of a span must tell. */
export function judgeOptics(
  powers: readonly RxPower[],
  { cabled, spans }: { readonly cabled: readonly string[]; readonly spans: readonly string[] },
): readonly Finding[] {
  const known = new Map(powers.map(({ port, dBm }) => [port, dBm]));
  const findings: Finding[] = [];
  let [lit, silent] = [0, 0];
  for (const port of cabled) {
    const dBm = known.get(port);
    if (dBm === undefined || dBm === null) {
      if (dBm === null || spans.includes(port)) findings.push(untold(port));
      else silent++;
    } else if (dBm < RX_POWER_DBM.least || dBm > RX_POWER_DBM.most) findings.push(outside(port, dBm));
    else lit++;
  }
  if (findings.length > 0) return findings;
  const rest = silent === 0 ? '' : `; ${silent} without a sensor (copper?)`;
  return [
    {
      check: 'optics',
      ok: true,
      detail: `${lit} of ${cabled.length} receive ${RX_POWER_DBM.least} to ${RX_POWER_DBM.most} dBm${rest}`,
    },
  ];
}

const untold = (port: string): Finding => ({
  check: 'optics',
  ok: 'unknown',
  detail: `${port} does not tell its receive power`,
  fix: `Look by hand: show interfaces transceiver eeprom --dom ${port}. A span needs an optic with diagnostics.`,
});

function outside(port: string, dBm: number): Finding {
  if (dBm <= RX_POWER_DBM.dark)
    return {
      check: 'optics',
      ok: false,
      detail: `${port} is dark: it receives ${dBmWords(dBm)}`,
      fix: 'Is the far port up, and its laser on? Then the fibre is cut or unplugged. On a span, look at the box between: ip link.',
    };
  const low = dBm < RX_POWER_DBM.least;
  return {
    check: 'optics',
    ok: false,
    detail: `${port} receives ${dBmWords(dBm)}, outside ${RX_POWER_DBM.least} to ${RX_POWER_DBM.most} dBm`,
    fix: low
      ? 'Clean both connectors and look at the loss of the fibre; the link may still be up and have bit errors.'
      : 'Too much light: put an attenuator in, or the receiver is damaged in time.',
  };
}
