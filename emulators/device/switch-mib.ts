import type { FabricSim, SimPort } from '../fabric-sim/index.ts';
import { type LabShape, portMac, type PortShape } from './lab-shape.ts';
import { SNMP, SnmpStore, type SnmpRow, type SnmpScalar, type SnmpType } from './snmp-store.ts';

export interface SwitchMibOptions {
  readonly sim: FabricSim;
  readonly shape: LabShape;
  readonly node: string;
  /** snmpEngineBoots (RFC 3411 section 5). Default 1. */
  readonly engineBoots?: () => number;
}

const IF_ENTRY = '1.3.6.1.2.1.2.2.1';
const IFX_ENTRY = '1.3.6.1.2.1.31.1.1.1';
const ENTITY = '1.3.6.1.2.1.47.1.1.1.1';
const SENSOR = '1.3.6.1.2.1.99.1.1.1';
const LLDP_LOCAL = '1.0.8802.1.1.2.1.3';
const LLDP_REMOTE = '1.0.8802.1.1.2.1.4.1.1';

/** Ports have entPhysicalIndex ifIndex + this; their receive power sensors + SENSOR_BASE. */
const PORT_BASE = 1000;
const SENSOR_BASE = 2000;
const CHASSIS = 1;
const CHASSIS_TEMPERATURE = 2;

/** An optic without light reads this (featureprofiles' ZR tests take -40 dBm for a down port). */
const NO_LIGHT_DBM = -40;
/** Receive power of a lit port: the middle of the -14..0 dBm that featureprofiles' ZR tests accept. The simulator has no optics. */
const LIT_DBM = -7;

/** Centiseconds, as TimeTicks. */
const ticks = (ps: number): number => Math.floor(ps / 1e10);

const macBytes = (mac: string): Buffer => Buffer.from(mac.replaceAll(':', ''), 'hex');

const low32 = (value: number): number => Number(BigInt.asUintN(32, BigInt(Math.floor(value))));
const low64 = (value: number): bigint => BigInt.asUintN(64, BigInt(Math.floor(value)));

/** True when light reaches this port: its cable is whole and the far end sends. */
function seesLight({ sim, shape, node }: SwitchMibOptions, port: PortShape): boolean {
  if (port.span !== undefined) {
    const span = Object.values(shape.topology.spans).find(({ name }) => name === port.span);
    const direction = span?.ends[0].node === node && span.ends[0].port === port.port ? 'b-to-a' : 'a-to-b';
    if (!sim.span(port.span, direction).light) return false;
  }
  const isSwitch = shape.topology.switches.some(({ name }) => name === port.far.node);
  if (!isSwitch) return true;
  if (!sim.isUp(port.far.node)) return false;
  return sim.ports(port.far.node).find(({ name }) => name === port.far.port)?.adminUp ?? false;
}

/**
 * SNMPv2-MIB system, IF-MIB, ENTITY-MIB, ENTITY-SENSOR-MIB (chassis temperature, receive power) and LLDP-MIB of an emulated switch.
 * Every value is read from the simulator when it is asked for; the rows themselves depend only on the shape and on which
 * neighbours are seen, so call `switchMib` again after a link event.
 */
export function switchMib(options: SwitchMibOptions): SnmpStore {
  const { sim, shape, node } = options;
  const identity = shape.identity(node);
  const ports = shape.ports(node);
  const rows: SnmpRow[] = [];
  const add = (oid: string, type: SnmpType, value: SnmpScalar | (() => SnmpScalar)): void =>
    void rows.push({ oid, type, value });
  const text = (oid: string, value: string): void => add(oid, SNMP.octets, Buffer.from(value));
  const uptime = (): number => ticks(sim.nowPs - sim.bootedAtPs(node));
  const state = (port: PortShape): SimPort => {
    const found = sim.ports(node).find(({ name }) => name === port.port);
    if (!found) throw new Error(`The simulator has no port ${node} ${port.port}.`);
    return found;
  };
  const upDown = (up: boolean): number => (up ? 1 : 2);

  text(
    '1.3.6.1.2.1.1.1.0',
    `SONiC Software Version: SONiC.202405.1-farspan - HwSku: Farspan-Emulated - Distribution: Debian 12.5 - Kernel: 6.1.0-22-2-amd64`,
  );
  // The OID of SONiC's snmpd: net-snmp's own linux agent.
  add('1.3.6.1.2.1.1.2.0', SNMP.oid, '1.3.6.1.4.1.8072.3.2.10');
  add('1.3.6.1.2.1.1.3.0', SNMP.timeTicks, uptime);
  text('1.3.6.1.2.1.1.4.0', 'farspan');
  text('1.3.6.1.2.1.1.5.0', node);
  text('1.3.6.1.2.1.1.6.0', `site ${identity.site}`);
  add('1.3.6.1.2.1.1.7.0', SNMP.integer, 78);
  add('1.3.6.1.6.3.10.2.1.2.0', SNMP.integer, options.engineBoots ?? 1);

  add('1.3.6.1.2.1.2.1.0', SNMP.integer, ports.length);
  for (const port of ports) {
    const i = port.ifIndex;
    const count = (): ReturnType<FabricSim['count']> => sim.count(node, port.port);
    const counter = (column: number, read: (count: ReturnType<FabricSim['count']>) => number): void =>
      add(`${IF_ENTRY}.${column}.${i}`, SNMP.counter32, () => low32(read(count())));
    add(`${IF_ENTRY}.1.${i}`, SNMP.integer, i);
    text(`${IF_ENTRY}.2.${i}`, port.devicePort);
    add(`${IF_ENTRY}.3.${i}`, SNMP.integer, 6);
    add(`${IF_ENTRY}.4.${i}`, SNMP.integer, 9100);
    // ifSpeed stops at 2^32 - 1; ifHighSpeed has the rate (RFC 2863).
    add(`${IF_ENTRY}.5.${i}`, SNMP.gauge32, Math.min(port.rateBps, 2 ** 32 - 1));
    add(`${IF_ENTRY}.6.${i}`, SNMP.octets, macBytes(portMac(identity.baseMac, i)));
    add(`${IF_ENTRY}.7.${i}`, SNMP.integer, () => upDown(state(port).adminUp));
    add(`${IF_ENTRY}.8.${i}`, SNMP.integer, () => upDown(state(port).operUp));
    add(`${IF_ENTRY}.9.${i}`, SNMP.timeTicks, () =>
      Math.max(0, ticks(state(port).lastChangePs - sim.bootedAtPs(node))),
    );
    counter(10, ({ rxBytes }) => rxBytes);
    counter(11, ({ rxPackets }) => rxPackets);
    counter(13, () => 0);
    counter(14, () => 0);
    counter(16, ({ txBytes }) => txBytes);
    counter(17, ({ txPackets }) => txPackets);
    counter(19, ({ drops }) => drops);
    counter(20, () => 0);

    const wide = (column: number, read: (count: ReturnType<FabricSim['count']>) => number): void =>
      add(`${IFX_ENTRY}.${column}.${i}`, SNMP.counter64, () => low64(read(count())));
    text(`${IFX_ENTRY}.1.${i}`, port.devicePort);
    wide(6, ({ rxBytes }) => rxBytes);
    wide(7, ({ rxPackets }) => rxPackets);
    wide(10, ({ txBytes }) => txBytes);
    wide(11, ({ txPackets }) => txPackets);
    add(`${IFX_ENTRY}.14.${i}`, SNMP.integer, 1);
    add(`${IFX_ENTRY}.15.${i}`, SNMP.gauge32, Math.round(port.rateBps / 1e6));
    text(`${IFX_ENTRY}.18.${i}`, `${port.far.node}:${port.far.devicePort}`);
    add(`${IFX_ENTRY}.19.${i}`, SNMP.timeTicks, 0);
  }

  const entity = (
    index: number,
    entry: { descr: string; parent: number; kind: number; name: string; serial?: string },
  ): void => {
    text(`${ENTITY}.2.${index}`, entry.descr);
    add(`${ENTITY}.4.${index}`, SNMP.integer, entry.parent);
    add(`${ENTITY}.5.${index}`, SNMP.integer, entry.kind);
    text(`${ENTITY}.7.${index}`, entry.name);
    text(`${ENTITY}.11.${index}`, entry.serial ?? '');
    text(`${ENTITY}.12.${index}`, 'Farspan');
    text(`${ENTITY}.13.${index}`, entry.parent === 0 ? 'FS-EMU' : '');
  };
  // entPhySensorType 14 dBm, 8 celsius; scale 9 units; EntitySensorStatus 1 ok, 2 unavailable (RFC 3433).
  const sensor = (index: number, type: number, precision: number, read: () => number | undefined): void => {
    add(`${SENSOR}.1.${index}`, SNMP.integer, type);
    add(`${SENSOR}.2.${index}`, SNMP.integer, 9);
    add(`${SENSOR}.3.${index}`, SNMP.integer, precision);
    add(`${SENSOR}.4.${index}`, SNMP.integer, () => Math.round((read() ?? 0) * 10 ** precision));
    add(`${SENSOR}.5.${index}`, SNMP.integer, () => (read() === undefined ? 2 : 1));
  };
  entity(CHASSIS, { descr: 'Farspan emulated switch', parent: 0, kind: 3, name: node, serial: identity.serial });
  entity(CHASSIS_TEMPERATURE, { descr: 'Ambient temperature', parent: CHASSIS, kind: 8, name: 'Ambient temperature' });
  // No thermal model: the sensor is there and says that it can not tell.
  sensor(CHASSIS_TEMPERATURE, 8, 1, () => undefined);
  for (const port of ports) {
    const index = PORT_BASE + port.ifIndex;
    entity(index, {
      descr: `QSFP28 or later for ${port.devicePort}`,
      parent: CHASSIS,
      kind: 10,
      name: port.devicePort,
    });
    const power = SENSOR_BASE + port.ifIndex;
    entity(power, {
      descr: `${port.devicePort} RX power`,
      parent: index,
      kind: 8,
      name: `${port.devicePort} RX power`,
    });
    // RFC 3433 has dBm(14) only since its IANA registry (IANA-ENTITY-SENSOR-TC); precision 2 = 0.01 dBm.
    sensor(power, 14, 2, () => (seesLight(options, port) ? LIT_DBM : NO_LIGHT_DBM));
  }

  const mac = macBytes(identity.baseMac);
  add(`${LLDP_LOCAL}.1.0`, SNMP.integer, 4);
  add(`${LLDP_LOCAL}.2.0`, SNMP.octets, mac);
  text(`${LLDP_LOCAL}.3.0`, node);
  text(`${LLDP_LOCAL}.4.0`, 'Farspan emulated switch');
  for (const port of ports) {
    add(`${LLDP_LOCAL}.7.1.2.${port.ifIndex}`, SNMP.integer, 5);
    text(`${LLDP_LOCAL}.7.1.3.${port.ifIndex}`, port.devicePort);
    text(`${LLDP_LOCAL}.7.1.4.${port.ifIndex}`, port.devicePort);
    if (!state(port).operUp) continue;
    // Index: lldpRemTimeMark, lldpRemLocalPortNum, lldpRemIndex.
    const index = `0.${port.ifIndex}.1`;
    add(`${LLDP_REMOTE}.4.${index}`, SNMP.integer, 4);
    add(`${LLDP_REMOTE}.5.${index}`, SNMP.octets, macBytes(shape.identity(port.far.node).baseMac));
    add(`${LLDP_REMOTE}.6.${index}`, SNMP.integer, 5);
    text(`${LLDP_REMOTE}.7.${index}`, port.far.devicePort);
    text(`${LLDP_REMOTE}.8.${index}`, port.far.devicePort);
    text(`${LLDP_REMOTE}.9.${index}`, port.far.node);
  }
  return new SnmpStore(rows);
}
