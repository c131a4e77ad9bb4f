import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { ParseError } from '../../../harness/drivers/parse-error.ts';
import { parsePythonDict, parseShowVersion } from '../../../harness/drivers/sonic/database.ts';
import * as interfaces from '../../../harness/drivers/sonic/interfaces.ts';
import * as pfc from '../../../harness/drivers/sonic/pfc.ts';
import { parseClearReply, parseQueueCounters } from '../../../harness/drivers/sonic/queues.ts';
import { parseBfdSummary } from '../../../harness/drivers/sonic/bfd.ts';
import { parseConfigTable } from '../../../harness/drivers/sonic/config-table.ts';
import { parseBgpSummary, parseEcnConfig, parseLldpTable } from '../../../harness/drivers/sonic/routing.ts';
import { readTables } from '../../../harness/drivers/sonic/table.ts';
import {
  parseTransceiverPm,
  parseTransceivers,
  transceiverNumber,
} from '../../../harness/drivers/sonic/transceivers.ts';
import { parseWatermarks } from '../../../harness/drivers/sonic/watermarks.ts';

const FOLDER = path.resolve(import.meta.dirname, '../../../../shared/recordings/sonic');
const skip = existsSync(FOLDER) ? false : `no recordings at ../shared/recordings/sonic`;
const read = (file: string): string => readFileSync(path.join(FOLDER, file), 'utf8');

/**
 * An independent reading: a row is a line below a ruler that splits at two or more spaces into as many words as the header.
 * (The parsers cut by column positions instead.)
 */
function naive(text: string): { header: string[]; cells: string[] }[] {
  const rows: { header: string[]; cells: string[] }[] = [];
  let header: string[] = [];
  const lines = text.split('\n');
  for (const [i, line] of lines.entries()) {
    const cells = line.trim().split(/ {2,}/);
    if (/^-+$/.test(cells[0] ?? '')) header = (lines[i - 1] ?? '').trim().split(/ {2,}/);
    else if (
      header.length > 0 &&
      cells.length === header.length &&
      !/^-+$/.test((lines[i + 1] ?? '').trim().split(' ')[0] || 'x')
    )
      rows.push({ header, cells });
  }
  return rows;
}

/** A cell by another way: no regular expression of the parsers, only string work and Number. */
function value(cell: string): unknown {
  if (cell === 'N/A') return null;
  if (cell.endsWith('B/s')) {
    const [number = '', unit = ''] = cell.split(' ');
    return Number(number) * 8 * 1000 ** ['B/s', 'KB/s', 'MB/s', 'GB/s'].indexOf(unit);
  }
  if (cell.endsWith('/s')) return parseFloat(cell);
  if (cell.endsWith('%')) return parseFloat(cell) / 100;
  const digits = cell.split(',').join('');
  return digits !== '' && digits.split('').every(c => c >= '0' && c <= '9') ? BigInt(digits) : cell;
}

/** One parsed row as header to value, to be compared with the naive row. */
type Rows = readonly Readonly<Record<string, unknown>>[];
const up = (state: boolean | null, words: readonly [string, string]): string | null =>
  state === null ? null : state ? words[0] : words[1];
const big = (number: number | null): unknown => (number === null ? null : BigInt(number));

const counters = (text: string): Rows =>
  interfaces.parseInterfaceCounters(text).map(row => ({
    IFACE: row.port,
    STATE: up(row.operUp, ['U', 'D']),
    RX_OK: row.rxPackets,
    RX_BPS: row.rxRateBps,
    RX_PPS: row.rxPacketsPerSecond,
    RX_UTIL: row.rxUtilization,
    RX_ERR: row.rxErrors,
    RX_DRP: row.rxDrops,
    RX_OVR: row.rxOverruns,
    TX_OK: row.txPackets,
    TX_BPS: row.txRateBps,
    TX_PPS: row.txPacketsPerSecond,
    TX_UTIL: row.txUtilization,
    TX_ERR: row.txErrors,
    TX_DRP: row.txDrops,
    TX_OVR: row.txOverruns,
    TRIM: row.trimmed,
    TRIM_TX: row.trimmedSent,
    TRIM_DRP: row.trimmedDropped,
  }));
const trim = (text: string): Rows =>
  interfaces.parseTrimCounters(text).map(row => ({
    IFACE: row.port,
    STATE: up(row.operUp, ['U', 'D']),
    TRIM_PKTS: row.trimmed,
    TRIM_TX_PKTS: row.trimmedSent,
    TRIM_DRP_PKTS: row.trimmedDropped,
  }));
const status = (text: string): Rows =>
  interfaces.parseInterfaceStatus(text).map(row => ({
    Interface: row.port,
    Lanes: row.lanes === null ? null : row.lanes.length === 1 ? BigInt(row.lanes[0] ?? -1) : BigInt(row.lanes.join('')),
    Speed: row.speedBps,
    MTU: big(row.mtuBytes),
    FEC: row.fec,
    Alias: row.alias,
    Vlan: row.vlan,
    Oper: up(row.operUp, ['up', 'down']),
    Admin: up(row.adminUp, ['up', 'down']),
    Type: row.type,
    'Asym PFC': row.asymPfc,
  }));
const description = (text: string): Rows =>
  interfaces.parseInterfaceDescription(text).map(row => ({
    Interface: row.port,
    Oper: up(row.operUp, ['up', 'down']),
    Admin: up(row.adminUp, ['up', 'down']),
    Alias: row.alias,
    Description: row.description,
  }));
const training = (text: string): Rows =>
  interfaces.parseLinkTraining(text).map(row => ({
    Interface: row.port,
    'LT Oper': row.state,
    'LT Admin': row.configured,
    Oper: up(row.operUp, ['up', 'down']),
    Admin: up(row.adminUp, ['up', 'down']),
  }));
const pfcCounters = (text: string): Rows => {
  const all = [...pfc.parsePfcCounters(text)];
  const rows = (way: 'rx' | 'tx', head: string) =>
    all.map(([port, ways]) => ({
      [head]: port,
      ...Object.fromEntries(ways[way].map((count, i) => [`PFC${i}`, count])),
    }));
  return [...rows('rx', 'Port Rx'), ...rows('tx', 'Port Tx')];
};
const history = (text: string): Rows =>
  pfc.parsePfcHistory(text).map(row => ({
    Port: row.port,
    Priority: `PFC${row.priority}`,
    'RX Pause Transitions': row.transitions,
    'Total RX Pause Time US': row.totalPauseUs,
    'Recent RX Pause Time US': row.recentPauseUs,
    'Recent RX Pause Timestamp': row.recentAt,
  }));
const watchdog = (text: string): Rows =>
  pfc.parsePfcwdConfig(text).ports.map(row => ({
    PORT: row.port,
    ACTION: row.action,
    'DETECTION TIME': big(row.detectionMs),
    'RESTORATION TIME': big(row.restorationMs),
    HISTORY: row.history,
  }));
const storms = (text: string): Rows =>
  pfc.parsePfcwdStats(text).map(row => ({
    QUEUE: `${row.port}:${row.queue}`,
    STATUS: row.status,
    'STORM DETECTED/RESTORED': `${row.stormsDetected}/${row.stormsRestored}`,
    'TX OK/DROP': `${row.txOk}/${row.txDropped}`,
    'RX OK/DROP': `${row.rxOk}/${row.rxDropped}`,
    'TX LAST OK/DROP': `${row.txLastOk}/${row.txLastDropped}`,
    'RX LAST OK/DROP': `${row.rxLastOk}/${row.rxLastDropped}`,
  }));
const queues = (text: string): Rows =>
  parseQueueCounters(text).map(({ port, queue, counts }) => ({
    Port: port,
    TxQ: queue,
    Voq: queue,
    'Counter/pkts': counts.packets,
    'Counter/bytes': counts.bytes,
    'Drop/pkts': counts.dropPackets,
    'Drop/bytes': counts.dropBytes,
    'Trim/pkts': counts.trimPackets,
    'TrimSent/pkts': counts.trimSentPackets,
    'TrimDrop/pkts': counts.trimDropPackets,
    'WredDrp/pkts': counts.wredDropPackets,
    'WredDrp/bytes': counts.wredDropBytes,
    'EcnMarked/pkts': counts.ecnMarkedPackets,
    'EcnMarked/bytes': counts.ecnMarkedBytes,
    'Credit-WD-Del/pkts': counts.creditWatchdogDeletedPackets,
  }));
const watermarks = (text: string): Rows =>
  parseWatermarks(text).map(({ of, bytes }) => ({ Port: of, Pool: of, ...bytes }));
const bgp = (text: string): Rows =>
  parseBgpSummary(text).map(row => ({
    Neighbhor: row.address,
    V: big(row.version),
    AS: BigInt(row.asn),
    MsgRcvd: big(row.messagesReceived),
    MsgSent: big(row.messagesSent),
    'State/PfxRcd': row.prefixes === undefined ? row.state : BigInt(row.prefixes),
    'Up/Down': row.upDown,
    NeighborName: row.name,
  }));
const fec = (text: string): Rows =>
  interfaces.parseFecCounters(text).map(row => ({
    IFACE: row.port,
    STATE: up(row.operUp, ['U', 'D']),
    FEC_CORR: row.corrected,
    FEC_UNCORR: row.uncorrected,
    FEC_SYMBOL_ERR: row.symbolErrors,
    FEC_PRE_BER: row.preFecBer,
    FEC_POST_BER: row.postFecBer,
    FEC_PRE_BER_MAX: row.preFecBerMax,
    'FLR(O)': row.frameLossObserved === null ? null : row.frameLossObserved === 0 ? 0n : String(row.frameLossObserved),
    'FLR(P) (Accuracy)':
      row.frameLossPredicted === null
        ? null
        : row.frameLossPredicted === 0
          ? 0n
          : `${row.frameLossPredicted} (${Math.round((row.predictionAccuracy ?? 0) * 100)}%)`,
  }));

/** Columns that the models leave out on purpose, or that print their number in several forms (checked by hand below). */
const NOT_COMPARED = new Set(['TblVer', 'InQ', 'OutQ', 'FEC_MAX_T']);
/** The naive reading of one column in another form. */
const SPECIAL: Readonly<Record<string, (cell: string) => unknown>> = {
  Speed: cell => parseFloat(cell) * (cell.endsWith('G') ? 1e9 : 1e6),
  'Recent RX Pause Timestamp': cell => (cell === 'N/A' ? null : cell),
};

/** [folder, files, reader]. */
const TABLES: readonly (readonly [string, RegExp, (text: string) => Rows])[] = [
  ['port', /^(intf_counters_(?!detailed)|intf_rates|mu).*\.txt$/, counters],
  ['port', /^trim_(?!.*json).*\.txt$/, trim],
  ['port', /^intf_fec.*\.txt$/, fec],
  ['intf', /status_output\.txt$/, text => (text.includes('LT Oper') ? training(text) : status(text))],
  ['intf', /description.*\.txt$/, description],
  ['pfc', /history.*\.txt$/, history],
  ['pfc', /^(?!.*history).*\.txt$/, pfcCounters],
  ['pfcwd', /^(?!.*stats).*\.txt$/, watchdog],
  ['pfcwd', /stats.*\.txt$/, storms],
  ['queue', /^(?!.*(json|clear_msg)).*\.txt$/, queues],
  ['wm', /^(?!.*(json|clear)).*\.txt$/, watermarks],
  ['bgp', /^(?!.*invalid).*\.txt$/, bgp],
];

const covered = new Set<string>();
const files = (folder: string, pattern: RegExp): string[] => {
  const found = readdirSync(path.join(FOLDER, folder))
    .filter(file => pattern.test(file))
    .map(file => `${folder}/${file}`);
  for (const file of found) covered.add(file);
  return found;
};

void t.test('every recorded SONiC table reads the same as by splitting at runs of spaces', { skip }, async t => {
  let cells = 0;
  for (const [folder, pattern, reader] of TABLES) {
    for (const file of files(folder, pattern)) {
      await t.test(`${file} holds what an independent reading finds`, async t => {
        const text = read(file);
        const expected = naive(text);
        const rows = reader(text);
        t.equal(rows.length, expected.length, `${file}: number of rows`);
        if (!file.includes('no_v')) t.ok(expected.length > 0, `${file}: the independent reading found rows`);
        for (const [i, { header, cells: row }] of expected.entries()) {
          for (const [c, column] of header.entries()) {
            if (NOT_COMPARED.has(column)) continue;
            const cell = row[c] ?? '';
            const wanted = SPECIAL[column]?.(cell) ?? value(cell);
            t.strictSame(rows[i]?.[column], wanted, `${file} row ${i} ${column} "${cell}"`);
            cells++;
          }
        }
      });
    }
  }
  t.ok(cells > 5000, `${cells} cells were compared`);
});

void t.test('every recorded JSON form reads the same as JSON.parse says', { skip }, async t => {
  const NAMES: Readonly<Record<string, string>> = {
    packets: 'totalpacket',
    bytes: 'totalbytes',
    dropPackets: 'droppacket',
    dropBytes: 'dropbytes',
    trimPackets: 'trimpacket',
    trimSentPackets: 'trimsentpacket',
    trimDropPackets: 'trimdroppacket',
    wredDropPackets: 'wredDrppacket',
    wredDropBytes: 'wredDrpbytes',
    ecnMarkedPackets: 'ecnpacket',
    ecnMarkedBytes: 'ecnbytes',
    creditWatchdogDeletedPackets: 'creditWDPkts',
  };
  let cells = 0;
  for (const file of files('queue', /json.*\.txt$/)) {
    const json = JSON.parse(read(file)) as Record<string, Record<string, unknown>>;
    const leaves = JSON.stringify(json).split(':').length - 1 - Object.keys(json).length;
    const rows = parseQueueCounters(read(file));
    let here = 0;
    for (const { port, queue, counts } of rows) {
      const source = (port === '' ? json[queue] : json[port]?.[queue]) as Record<string, unknown>;
      for (const [metric, count] of Object.entries(counts)) {
        t.strictSame(count, value(String(source[NAMES[metric] ?? ''])), `${file} ${port} ${queue} ${metric}`);
        here++;
      }
    }
    t.equal(here, leaves - (rows[0]?.port === '' ? 0 : rows.length), `${file}: all ${here} values were read`);
    cells += here;
  }
  for (const file of files('wm', /json.*\.txt$/)) {
    const json = JSON.parse(read(file)) as Record<string, string>[];
    const rows = parseWatermarks(read(file));
    t.equal(rows.length, json.length);
    for (const [i, { Port, ...row }] of json.entries()) {
      t.equal(rows[i]?.of, Port);
      for (const [column, cell] of Object.entries(row)) {
        t.strictSame(rows[i]?.bytes[column], value(cell), `${file} ${Port} ${column}`);
        cells++;
      }
    }
  }
  for (const file of files('port', /json.*\.txt$/)) {
    const json = JSON.parse(read(file)) as Record<string, Record<string, string>>;
    for (const row of interfaces.parseTrimCounters(read(file))) {
      t.strictSame(row.trimmed, value(json[row.port]?.['TRIM_PKTS'] ?? ''));
      t.strictSame(row.trimmedSent, value(json[row.port]?.['TRIM_TX_PKTS'] ?? ''));
      t.strictSame(row.trimmedDropped, value(json[row.port]?.['TRIM_DRP_PKTS'] ?? ''));
      cells += 3;
    }
  }
  t.ok(cells > 1500, `${cells} values were compared`);
});

void t.test('figures typed from the recordings by hand come out', { skip }, async t => {
  const all = interfaces.parseInterfaceCounters(read('port/intf_counters_all.txt'));
  t.equal(all[0]?.rxRateBps, 16e9, '2000.00 MB/s are bytes: 16 Gb/s');
  t.equal(all[2]?.trimmed, 20_000n);
  t.equal(all[1]?.rxDrops, 1000n);
  t.equal(all[3]?.trimmed, null, 'N/A is missing, not zero');

  const loss = interfaces.parseFecCounters(read('port/intf_fec_counters.txt'));
  t.match(loss[0], {
    corrected: 130_402n,
    frameLossObserved: 4.21e-10,
    frameLossPredicted: 7.81e-10,
    predictionAccuracy: 0.89,
    mostSymbolErrors: -1,
  });
  t.match(loss[1], { frameLossObserved: 0, frameLossPredicted: 0, mostSymbolErrors: 0 });
  t.equal(loss[3]?.mostSymbolErrors, null);
  t.equal(interfaces.parseFecCounters(read('port/intf_fec_counters_nonzero.txt'))[2]?.mostSymbolErrors, 3);

  const detailed = interfaces.parseDetailedCounters(read('port/intf_counters_detailed.txt'));
  covered.add('port/intf_counters_detailed.txt');
  t.equal(detailed.size, 39, 'grep -c finds 40 lines with dots, one of them a time');
  t.equal(detailed.get('WRED Total Dropped Packets'), 101n);
  t.equal(detailed.get('Packets Received 64 Octets'), 0n);
  t.equal(detailed.get('Total Packets Transmitted Successfully'), 40n);
  t.equal(detailed.get('Trimmed Sent Packets'), 50n);

  const frames = pfc.parsePfcCounters(read('pfc/show_pfc_counters_output.txt'));
  t.equal(frames.get('Ethernet8')?.tx[0], 1810n);
  t.equal(frames.get('Ethernet0')?.rx[7], 207n);
  const config = pfc.parsePfcwdConfig(read('pfcwd/pfcwd_show_start_history_output_masic.txt'));
  t.strictSame(
    [...config.pollingMs],
    [
      ['asic0', 199],
      ['asic1', 199],
    ],
  );
  t.strictSame(
    [...config.bigRedSwitch],
    [
      ['asic0', 'enable'],
      ['asic1', 'enable'],
    ],
  );
  t.strictSame([...pfc.parsePfcwdConfig(read('pfcwd/pfcwd_show_config_output.txt')).pollingMs], [['', 600]]);
  t.match(pfc.parsePfcwdStats(read('pfcwd/show_pfcwd_stats_with_queues.txt'))[3], {
    port: 'Ethernet-BP260',
    queue: 10,
    status: null,
    txOk: 6526n,
    rxLastDropped: 69n,
  });

  const pools = parseWatermarks(read('wm/show_buffer_pool_pwm_output_all_masic.txt'));
  t.strictSame(pools, [
    { namespace: 'asic0', of: 'ingress_lossless_pool', bytes: { Bytes: null } },
    { namespace: 'asic1', of: 'ingress_lossless_pool', bytes: { Bytes: null } },
  ]);
  const groups = parseWatermarks(read('wm/show_pg_persistent_wm_hdrm_output_all_masic.txt'));
  t.strictSame(
    groups.map(({ namespace }) => namespace),
    ['asic0', 'asic0', 'asic0', 'asic0', 'asic1', 'asic1'],
  );
  t.equal(groups[4]?.bytes['PG15'], 507n);

  for (const [file, count] of [
    ['ecn/ecn_show_config_output.txt', 13],
    ['ecn/ecn_show_config_output_multi.txt', 17],
    ['ecn/ecn_show_config_output_specific_namespace.txt', 10],
  ] as const) {
    covered.add(file);
    const profiles = parseEcnConfig(read(file));
    t.equal(
      [...profiles.values()].reduce((sum, settings) => sum + settings.size, 0),
      count,
      file,
    );
    t.equal(profiles.get('AZURE_LOSSLESS')?.get('red_max_threshold'), '2097152');
    t.equal(profiles.get('AZURE_LOSSLESS')?.get('ecn'), 'ecn_all');
    t.equal(profiles.get('AZURE_LOSSLESS')?.get('green_drop_probability'), '5');
  }
  t.equal(
    parseEcnConfig(read('ecn/ecn_show_config_output_multi.txt')).get('AZURE_LOSSY')?.get('red_min_threshold'),
    '4095',
  );

  const peers = parseBgpSummary(read('bgp/show_bgp_summary_v4.txt'));
  t.match(peers[0], { address: '10.0.0.1', asn: 65200, state: 'Established', prefixes: 6402, name: 'ARISTA01T2' });
  t.match(peers[23], { address: '10.0.0.63', asn: 64016, state: 'Active', prefixes: undefined, upDown: 'never' });
  t.equal(
    parseBgpSummary(read('bgp/show_error_no_v4_neighbor_multi_asic.txt')).length,
    0,
    'no neighbours is an answer, not an error',
  );
});

void t.test('recorded transceivers read as a person reads them', { skip }, async t => {
  const of = (file: string) => {
    covered.add(`transceiver/${file}`);
    return parseTransceivers(read(`transceiver/${file}`));
  };
  const all = of('test_sfp_eeprom_all_output.txt');
  t.strictSame(
    all.map(({ port, detected }) => [port, detected]),
    [
      ['Ethernet0', true],
      ['Ethernet4', false],
      ['Ethernet64', true],
    ],
  );
  t.equal(all[0]?.values.get('Vendor SN'), 'MT1706FT02064');
  t.equal(all[0]?.values.get('Specification compliance/10/40G Ethernet Compliance Code'), '40G Active Cable (XLPPI)');
  t.equal(all[0]?.values.get('Vendor Date Code(YYYY-MM-DD Lot)'), '2017-01-13');
  t.equal(
    all[2]?.values.get('Application Advertisement')?.split('\n').length,
    3,
    'a wrapped value is one value of three lines',
  );
  t.equal(all[2]?.values.get('E2 Server Firmware'), 'A.B.C.D');

  const dom = of('test_sfp_eeprom_with_dom_output.txt')[0]?.values;
  t.equal(transceiverNumber(dom?.get('ChannelMonitorValues/RX2Power'), 'dBm'), -0.4871);
  t.equal(transceiverNumber(dom?.get('ModuleMonitorValues/Temperature'), 'C'), 30.9258);
  t.equal(transceiverNumber(dom?.get('ModuleThresholdValues/VccLowWarning'), 'Volts'), 3.1349);
  t.equal(transceiverNumber(dom?.get('Vendor Name'), 'dBm'), null);
  const zr = of('test_qsfp_dd_eeprom_with_dom_output.txt')[0]?.values;
  t.equal(transceiverNumber(zr?.get('ModuleMonitorValues/Tx Frequency'), 'GHz'), 193100);
  t.equal(transceiverNumber(zr?.get('ChannelMonitorValues/RX3Power'), 'dBm'), -22.9243);
  t.equal(transceiverNumber(zr?.get('ChannelThresholdValues/TxBiasLowAlarm'), 'mA'), 4.496);
  t.equal(of('test_qsfp_dd_eeprom_output.txt')[0]?.values.get('CMIS Rev'), '5.0');
  t.equal(of('test_qsfp_dd_eeprom_output.txt')[0]?.values.get('Media Interface Technology'), '1550 nm DFB');
  t.equal(
    of('test_qsfp_dd_eeprom_output.txt')[0]?.values.get('Active application selected code assigned to host lane 8'),
    '1',
  );
  t.match(
    of('test_qsfp_dd_eeprom_adv_app_output.txt')[0]?.values.get('Application Advertisement'),
    /^400G CR8.*\n200GBASE-CR4/,
  );
  t.equal(of('test_qsfp_dd_eeprom_adv_app_output.txt')[0]?.values.size, 15);
  t.equal(of('test_qsfp_dd_eeprom_adv_app_output.txt')[0]?.port, 'Ethernet40');
  const els = of('test_els_dom_output.txt')[0];
  t.equal(els?.port, '');
  t.equal(transceiverNumber(els?.values.get('ELSMonitorValues/ELS Temperature'), 'C'), 16.16);
  t.equal(transceiverNumber(els?.values.get('ELSMonitorValues/ELS Vcc'), 'Volts'), 3.396);
  t.equal(transceiverNumber(els?.values.get('ELSThresholdValues/ELS TxPowerLowWarning'), 'mW'), -2.9);
  const flags = of('test_qsfp_status_output.txt')[0];
  t.equal(flags?.port, 'Ethernet4');
  t.equal(flags?.values.size, 13);
  t.equal(flags?.values.get('Rx loss of signal flag on media lane 3'), 'False');
  t.equal(flags?.values.get('Disabled TX channels'), '0');

  for (const file of readdirSync(path.join(FOLDER, 'transceiver')).filter(name => !name.includes('_pm_'))) {
    const pairs = read(`transceiver/${file}`)
      .split('\n')
      .filter(line => /^ .*: +\S/.test(line)).length;
    t.equal(
      of(file).reduce((sum, { values }) => sum + values.size, 0),
      pairs,
      `${file}: every "name: value" line is one value`,
    );
  }

  covered.add('transceiver/test_qsfp_dd_pm_output.txt');
  const text = read('transceiver/test_qsfp_dd_pm_output.txt');
  const rows = parseTransceiverPm(text);
  t.equal(rows.length, 14);
  t.match(rows[0], {
    port: 'Ethernet44',
    parameter: 'Tx Power',
    unit: 'dBm',
    min: -8.22,
    lowWarning: -16.003,
    crossingLow: false,
  });
  t.match(rows[11], { parameter: 'Pre-FEC BER', unit: null, max: 5.76e-4, highAlarm: 0.0125 });
  t.match(rows[10], { parameter: 'SOP ROC', highAlarm: null, crossingHigh: null });
  for (const [i, line] of text.split('\n').slice(5, 19).entries()) {
    const cells = line.trim().split(/ {2,}/);
    t.equal(rows[i]?.avg, Number(cells[3]), line);
    t.equal(rows[i]?.highWarning, cells[6] === 'N/A' ? null : Number(cells[6]), line);
    t.equal(rows[i]?.crossingLow, cells[10] === 'N/A' ? null : cells[10] === 'True', line);
  }
});

void t.test('recorded error messages are errors, and clear messages are no tables', { skip }, async t => {
  for (const file of files('bgp', /invalid/)) t.throws(() => parseBgpSummary(read(file)), ParseError, file);
  covered.add('queue/trim_counters_clear_msg.txt');
  covered.add('wm/clear_hdrm_pool_wm_output_all_masic.txt');
  t.throws(() => parseQueueCounters(read('queue/trim_counters_clear_msg.txt')), ParseError);
  t.throws(() => parseWatermarks(read('wm/clear_hdrm_pool_wm_output_all_masic.txt')), ParseError);
  t.strictSame(parseClearReply(read('queue/trim_counters_clear_msg.txt')), ['Ethernet0', 'Ethernet4', 'Ethernet8']);
  t.strictSame(parseClearReply(read('wm/clear_hdrm_pool_wm_output_all_masic.txt')), [
    'asic0 USER PG_HEADROOM',
    'asic1 USER PG_HEADROOM',
  ]);
  t.throws(() => parseClearReply(read('pfc/show_pfc_counters_output.txt')), ParseError);
});

void t.test('no recorded SONiC file is left out', { skip }, async t => {
  const all = readdirSync(FOLDER).flatMap(folder =>
    readdirSync(path.join(FOLDER, folder)).map(file => `${folder}/${file}`),
  );
  t.strictSame(
    all.filter(file => !covered.has(file)),
    [],
  );
  t.equal(all.length, 114, 'find -type f | wc -l');
});

void t.test('tables that do not hold together are refused, naming the line', async t => {
  const table = 'Port  UC0\n----  ---\nEth0    1\n';
  t.equal(readTables(table, 'x')[0]?.rows.length, 1);
  t.throws(
    () => readTables(`${table}Eth1  1234567\n`, 'x'),
    { message: /Eth1 {2}1234567/ },
    'a cell wider than its column',
  );
  t.throws(() => readTables(`${table}something else\n`, 'x'), ParseError);
  t.throws(() => readTables('Port  UC0\nEth0    1\n', 'x'), ParseError, 'no ruler');
  t.throws(() => readTables('', 'x'), ParseError);
  t.throws(() => parseWatermarks('Port  UC0\n----  ---\nEth0  x12\n'), ParseError, 'not a count');
  t.throws(() => parseWatermarks('bash: show: command not found\n'), { message: /error message/ });
  t.throws(() => pfc.parsePfcCounters('Usage: show [OPTIONS]\n'), { message: /error message/ });
  t.equal(parseWatermarks('Port  UC0\n----  ---\nEth0  N/A\n')[0]?.bytes['UC0'], null);
});

void t.test('LLDP tables, Python dicts and version pages are read', async t => {
  const lldp = `Capability codes: (R) Router, (B) Bridge, (O) Other
LocalPort    RemoteDevice    RemotePortID    Capability    RemotePortDescr
-----------  --------------  --------------  ------------  -----------------
Ethernet0    leaf-2          Ethernet4       BR            to spine
Ethernet112  ARISTA01T1      Ethernet1       BR
--------------------------------------------------
Total entries displayed:  2
`;
  t.strictSame(parseLldpTable(lldp), [
    { port: 'Ethernet0', device: 'leaf-2', remotePort: 'Ethernet4' },
    { port: 'Ethernet112', device: 'ARISTA01T1', remotePort: 'Ethernet1' },
  ]);
  t.strictSame(
    [...parsePythonDict(`{'Ethernet0': 'oid:0x1', "a'b": 'c"d'}`)],
    [
      ['Ethernet0', 'oid:0x1'],
      ["a'b", 'c"d'],
    ],
  );
  t.strictSame([...parsePythonDict('{}\n')], []);
  for (const bad of ["{'a': 1}", "{'a' 'b'}", "{'a': 'b'", "{'a': 'b',, }", '[]', "{'a': 'b' 'c': 'd'}"])
    t.throws(() => parsePythonDict(bad), ParseError, bad);
  t.strictSame(parseShowVersion('\nSONiC Software Version: SONiC.202405.1\nHwSKU: ACS-1\nSerial Number: X1\n'), {
    software: '202405.1',
    model: 'ACS-1',
    serial: 'X1',
  });
  t.throws(() => parseShowVersion('Serial Number: 1'), ParseError);
});

const PARSERS: Readonly<Record<string, (text: string) => unknown>> = {
  parseBfdSummary,
  parseBgpSummary,
  parseClearReply,
  parseConfigTable,
  parseDetailedCounters: interfaces.parseDetailedCounters,
  parseEcnConfig,
  parseFecCounters: interfaces.parseFecCounters,
  parseInterfaceCounters: interfaces.parseInterfaceCounters,
  parseInterfaceDescription: interfaces.parseInterfaceDescription,
  parseInterfaceStatus: interfaces.parseInterfaceStatus,
  parseLinkTraining: interfaces.parseLinkTraining,
  parseLldpTable,
  parsePfcCounters: pfc.parsePfcCounters,
  parsePfcHistory: pfc.parsePfcHistory,
  parsePfcwdConfig: pfc.parsePfcwdConfig,
  parsePfcwdStats: pfc.parsePfcwdStats,
  parsePythonDict,
  parseQueueCounters,
  parseShowVersion,
  parseTransceiverPm,
  parseTransceivers,
  parseTrimCounters: interfaces.parseTrimCounters,
  parseWatermarks,
};

/** Any NaN anywhere. */
function holdsNaN(value: unknown): boolean {
  if (typeof value === 'number') return Number.isNaN(value);
  if (value instanceof Map) return [...value.values()].some(holdsNaN);
  return typeof value === 'object' && value !== null && Object.values(value).some(holdsNaN);
}

void t.test('no text makes a parser throw anything but a ParseError, or give NaN', async t => {
  const words = [
    'Port',
    'Port Rx',
    'PFC0',
    'UC3',
    'TxQ',
    'IFACE',
    'STATE',
    'N/A',
    '1,200',
    '1,2',
    '-',
    '--',
    '----',
    '     ',
    '\n',
    '  ',
    ':',
    "{'a': 'b'}",
    '{"a":',
    '[{"Port":"x",',
    '1e999',
    '99999999999999999999',
    '200.00 MB/s',
    '3/4',
    'Ethernet0',
    'Profile: x',
    '\u001b[31m',
    '\u202e',
    '\ufffd',
    'x'.repeat(40),
    'Usage: ',
    '\t',
    '....',
  ];
  const recorded = skip
    ? []
    : readdirSync(FOLDER).flatMap(folder =>
        readdirSync(path.join(FOLDER, folder)).map(file => read(`${folder}/${file}`).slice(0, 3000)),
      );
  const soup = fc.array(fc.constantFrom(...words), { maxLength: 40 }).map(parts => parts.join(''));
  const mutated =
    recorded.length === 0
      ? soup
      : fc
          .tuple(
            fc.constantFrom(...recorded),
            fc.array(fc.tuple(fc.nat(3000), fc.nat(6), fc.constantFrom(...words)), { maxLength: 5 }),
          )
          .map(([text, edits]) =>
            edits.reduce((now, [at, cut, word]) => now.slice(0, at) + word + now.slice(at + cut), text),
          );
  for (const [name, parser] of Object.entries(PARSERS)) {
    fc.assert(
      fc.property(fc.oneof(soup, mutated, fc.string({ unit: 'binary', maxLength: 200 })), text => {
        try {
          return !holdsNaN(parser(text));
        } catch (error) {
          if (error instanceof ParseError) return true;
          throw error;
        }
      }),
      { numRuns: 150, seed: 7 },
    );
    t.pass(name);
  }
});

void t.test('parsers take linear time: four times the text costs about four times as much', async t => {
  const table = (rows: number) => `Port  UC0\n----  ---\n${'Eth0    1\n'.repeat(rows)}`;
  const inputs: readonly (readonly [string, (n: number) => string, (text: string) => unknown])[] = [
    ['rows', n => table(n), parseWatermarks],
    ['one long line', n => 'x'.repeat(n * 10), parseWatermarks],
    ['one long line of dashes', n => '- '.repeat(n * 5), parsePfcCounters],
    ['blanks', n => `Port  UC0\n----  ---\n${' '.repeat(n * 10)}x`, parseWatermarks],
    [
      'colons',
      n => `Ethernet0: SFP EEPROM detected\n${`        a${' '.repeat(50)}b: c\n`.repeat(n / 8)}`,
      parseTransceivers,
    ],
    ['a long dict', n => `{${"'a': 'b', ".repeat(n)}}`, parsePythonDict],
    ['an unclosed dict', n => `{'${'a'.repeat(n * 10)}`, parsePythonDict],
    ['digits', n => `Port  UC0\n----  ---\nEth0  ${'1'.repeat(n * 10)}`, parseWatermarks],
    ['dots', n => '.'.repeat(n * 10), interfaces.parseDetailedCounters],
  ];
  const cost = (work: () => unknown): number => {
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 3; i++) {
      const began = process.cpuUsage();
      try {
        work();
      } catch (error) {
        if (!(error instanceof ParseError)) throw error;
      }
      const { user, system } = process.cpuUsage(began);
      best = Math.min(best, user + system);
    }
    return best;
  };
  for (const [name, make, parser] of inputs) {
    const [small, large] = [make(20_000), make(80_000)];
    cost(() => parser(small));
    const [one, four] = [cost(() => parser(small)), cost(() => parser(large))];
    // Quadratic would be 16; 5 ms of floor keeps small denominators from deciding.
    t.ok(
      four / Math.max(one, 5000) < 10,
      `${name}: ${one} us for ${small.length}, ${four} us for ${large.length} characters`,
    );
  }
});

function parsePfcCounters(text: string): unknown {
  return pfc.parsePfcCounters(text);
}
