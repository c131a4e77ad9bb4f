import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from '@playwright/test';
import t from 'tap';
import { parse } from 'yaml';
import provider from '../../emulators/device/provider.ts';
import { SNMP } from '../../emulators/device/snmp-store.ts';
import { encodeTrap } from '../../emulators/device/snmp-trap.ts';
import { escapeDeviceText, label } from '../../harness/drivers/device-text.ts';
import { connectSsh } from '../../harness/drivers/ssh.ts';
import type { Step } from '../../harness/model/record.ts';
import { twoEnds } from './cli-scenarios/two-ends.ts';
import { floodingDevice } from './drivers/flooding-device.ts';
import { HOSTILE, HOSTILE_CELL, OBEYED } from './hostile-text.ts';
import { type Answered, alteredLab } from './lab/altered-lab.ts';
import { programProcess, ROOT, type Said } from './farspan-process.ts';

const BYTES = Number(process.env['FARSPAN_HOSTILE_BYTES'] ?? 256 * 2 ** 20);
/** Issue 4. */
const MOST_RSS_MIB = 256;

interface Floods {
  readonly commands: number;
  readonly received: number;
  readonly wrong: number;
  /** Commands that were lost because an earlier one's flood cost the session. */
  readonly lost: number;
  readonly after: string;
  readonly peakMiB: number;
  readonly slowestMs: number;
}

async function readFloods(port: number, hostKey: string, how: string, bytes: number): Promise<Floods> {
  const program = path.join(import.meta.dirname, 'drivers', 'read-floods.ts');
  const child = spawn(process.execPath, ['--import', 'tsx', program, String(port), hostKey, how, String(bytes)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  await new Promise(resolve => child.once('close', resolve));
  return JSON.parse(said) as Floods;
}

void t.test(
  `a device that never stops, ${BYTES / 2 ** 20} MiB of it`,
  { timeout: 60_000 + BYTES / 2 ** 16 },
  async t => {
    const device = await floodingDevice();
    t.teardown(() => device.close());
    for (const [how, bytes] of [
      ['stdout', BYTES],
      ['stderr', BYTES / 8],
      ['ignores close', BYTES / 8],
      ['ignores all', BYTES / 8],
    ] as const) {
      const sentBefore = device.sent();
      const began = performance.now();
      const seen = await readFloods(device.port, device.hostKey, how, bytes);
      const sent = device.sent() - sentBefore;
      const took = (performance.now() - began) / 1000;
      t.comment(
        `${how}: ${seen.commands} commands cut at 8 MiB, ${Math.round(seen.received / 2 ** 20)} MiB kept of ${Math.round(sent / 2 ** 20)} MiB sent in ${took.toFixed(1)} s, ${seen.lost} lost with their session; slowest cut ${seen.slowestMs} ms; peak RSS ${seen.peakMiB} MiB`,
      );
      t.same(
        [seen.wrong, seen.after],
        [0, 'done\n'],
        `${how}: every one is cut and marked, and the device is still usable`,
      );
      t.ok(seen.peakMiB < MOST_RSS_MIB, `${how}: peak RSS ${seen.peakMiB} MiB`);
      // What is on its way in sockets and windows when the session is ended, beside what is allowed after a close.
      t.ok(sent < seen.commands * 256 * 2 ** 20, `${how}: the device is stopped soon after the cut`);
    }
  },
);

type Parser = (text: string, ...more: readonly unknown[]) => unknown;

/** Every exported `parse…` of the drivers and of the lab's doctor, found by name so that none is forgotten. */
async function parsers(): Promise<ReadonlyMap<string, Parser>> {
  const found = new Map<string, Parser>();
  const files = ['harness/drivers', 'harness/lab/doctor'].flatMap(room =>
    readdirSync(path.join(ROOT, room), { recursive: true, encoding: 'utf8' })
      .filter(file => file.endsWith('.ts'))
      .map(file => path.join(ROOT, room, file)),
  );
  for (const file of files) {
    const module = (await import(pathToFileURL(file).href)) as Readonly<Record<string, unknown>>;
    for (const [name, parser] of Object.entries(module))
      if (/^parse[A-Z]/.test(name) && typeof parser === 'function') found.set(name, parser as Parser);
  }
  found.set('escapeDeviceText', text => escapeDeviceText(text));
  found.set('label', text => label(text));
  return found;
}

/** What stands before the long line, so that a parser gets as far as to read it as a row, a value, an attribute. */
const OPENINGS = [
  '',
  '  Interface    Lanes    Speed\n-----------  -------  -------\n  Ethernet0  ',
  'Profile: ',
  '[{"ifname":"',
  '{"end":{"sum_received":{"bytes":',
  '<?xml version="1.0" ?><nvidia_smi_log><gpu id="',
  "{'a': '",
  '== fired\n',
  'NIC statistics:\n     rx_bytes: ',
  'Ethernet0: SFP EEPROM detected\n        Identifier: ',
  '#       size         count      type   redop    root     time   algbw   busbw #wrong\n',
];
const FILLINGS = [
  'a',
  ' ',
  '- ',
  '1 ',
  '9',
  ',',
  '"',
  '\\',
  "', '",
  '[',
  '{"a":',
  '<a>',
  '&',
  '\t',
  ': ',
  '\u001b',
  '\n',
  'Ethernet0 ',
];
/** Parsers that want more than a text. */
const MORE: Readonly<Record<string, readonly unknown[]>> = {
  parseGpuSettings: [['power.limit', 'clocks.max.sm']],
  parseEthtoolSettings: [/^Pause parameters/],
  parseJson: ['JSON'],
};
const LONG = 2 ** 20;
const SHORT = 2 ** 13;
const LOOKED_AT = 2;
/** One of so many pairs of an opening and a filling is tried; 1 tries all. */
const STRIDE = Number(process.env['FARSPAN_LINE_STRIDE'] ?? 12);

/** CPU time, of the process: another one on this machine is no fault of a parser. */
function msOf(act: () => unknown): number {
  const began = process.cpuUsage();
  try {
    act();
  } catch {
    // Refusing is an answer; taking long is not.
  }
  const { user, system } = process.cpuUsage(began);
  return (user + system) / 1000;
}

/** What is suspicious is measured again: the machine may have been busy. */
const slowestOf = (ms: number, act: () => unknown): number => (ms > 100 ? Math.min(ms, msOf(act)) : ms);

void t.test(
  'a line of 1 MB is read or refused within a second by every parser, in linear time',
  { timeout: 300_000 },
  async t => {
    const all = await parsers();
    const rows: string[] = [];
    const slow: string[] = [];
    for (const [i, [name, parser]] of [...all].entries()) {
      const read = (text: string) => (): unknown => parser(text, ...(MORE[name] ?? []));
      const text = (opening: string, filling: string, length: number): string =>
        opening + filling.repeat(Math.ceil(length / filling.length));
      const shapes = OPENINGS.flatMap((opening, o) =>
        FILLINGS.filter((_, f) => (o + f + i) % STRIDE === 0).map(filling => ({ opening, filling })),
      );
      // What takes longest for a short line is looked at in full, so that what is quadratic does not take minutes.
      const worst = shapes
        .map(shape => ({ ...shape, ms: msOf(read(text(shape.opening, shape.filling, SHORT))) }))
        .toSorted((a, b) => b.ms - a.ms)
        .slice(0, LOOKED_AT)
        .map(({ opening, filling }) => ({
          opening,
          filling,
          quarter: msOf(read(text(opening, filling, LONG / 4))),
          ms: slowestOf(msOf(read(text(opening, filling, LONG))), read(text(opening, filling, LONG))),
        }))
        .toSorted((a, b) => b.ms - a.ms)[0];
      if (!worst) continue;
      const growth = worst.ms / Math.max(worst.quarter, 0.1);
      rows.push(
        `${name.padEnd(26)} ${worst.ms.toFixed(0).padStart(5)} ms  x ${growth.toFixed(1)} for four times the length`,
      );
      // Four times as long: 4 is linear, 16 quadratic.
      if (worst.ms > 1000 || (worst.ms > 100 && growth > 10))
        slow.push(
          `${name}: ${worst.ms.toFixed(0)} ms, ${JSON.stringify(worst.opening)} and many ${JSON.stringify(worst.filling)}`,
        );
    }
    for (const row of rows) t.comment(row);
    t.ok(all.size >= 40, `${all.size} parsers`);
    t.same(slow, []);
  },
);

void t.test(
  'split and broken UTF-8, and single bytes, come through as what they are; steps and errors are bounded',
  async t => {
    const device = await floodingDevice();
    t.teardown(() => device.close());
    const steps: Step[] = [];
    const shell = await connectSsh({
      device: HOSTILE,
      host: '127.0.0.1',
      port: device.port,
      user: 'admin',
      password: 'secret',
      hostKey: device.hostKey,
      deadlineMs: 20_000,
      step: step => void steps.push(step),
    });
    t.teardown(() => shell.close());
    t.equal((await shell.run('split')).stdout, `${'\u4e2d\u{1f600}'.repeat(500)}\ufffd\ufffd!`);
    const bytes = await shell.run('single bytes', { maxBytes: 20_000 });
    t.same([bytes.truncated, bytes.stdout.length], [true, 20_000]);
    const error = await shell
      .run(`fails ${HOSTILE.repeat(50)}`, { deadlineMs: 200 })
      .catch((failure: unknown) => failure as Error);
    const words = error instanceof Error ? error.message : '';
    t.ok(words.length > 0 && words.length < 6000, `an error of ${words.length} characters`);
    t.notMatch(words, OBEYED);
    t.ok(
      steps.every(({ tried, answer }) => tried.length < 2100 && answer.length < 2100 && !OBEYED.test(tried + answer)),
    );
  },
);

void t.test('a long text is escaped as a short one, whatever stands where it is taken apart', t => {
  const wrong: string[] = [];
  for (const piece of ['\r\n', '\u{1f600}', '\ud83d', '\ude00', '\r', '\u001b', '\ud83d\ud83d\ude00', '\r\r\n']) {
    for (let before = 65_532; before <= 65_538; before++) {
      const expected = 'a'.repeat(before) + escapeDeviceText(`${piece}b`);
      if (escapeDeviceText(`${'a'.repeat(before)}${piece}b`) !== expected)
        wrong.push(`${JSON.stringify(piece)} at ${before}`);
    }
  }
  t.same(wrong, []);
  t.end();
});

const BIN = path.join(ROOT, 'bin/farspan.js');
/** What our own reporter writes to a terminal: it wipes its line, and paints. */
// oxlint-disable-next-line no-control-regex
const OWN = /\r\u001b\[2K|\u001b\[(?:\d{1,2}|1;\d{2})m|\r\n/g;
/** Of util-linux: runs a command on a terminal of its own. */
const SCRIPT = '/usr/bin/script';
const CHROMIUM = process.env['CHROMIUM'] ?? '/usr/bin/chromium';

void t.test('a lab whose devices, neighbours and scenarios have hostile names', { timeout: 300_000 }, async t => {
  const lab = await provider.provide(twoEnds, { seed: 1, options: {} });
  t.teardown(() => lab.stop());
  const folder = path.dirname(lab.inventory);
  const scratch = mkdtempSync(path.join(os.tmpdir(), 'farspan-hostile-'));
  t.teardown(() => rmSync(scratch, { recursive: true, force: true }));
  let refuses = false;
  /** A table that does not fit its ruler is refused: a run would end dirty by it. */
  let misnamed = false;
  const altered = await alteredLab({
    inventory: lab.inventory,
    passwords: [],
    credentials: {},
    credentialOf: () => 'ssh',
    alter: (answer: Answered) => {
      if (refuses) return { ...answer, stdout: HOSTILE, stderr: `no: ${HOSTILE}`, code: 1 };
      const { command } = answer;
      let { stdout } = answer;
      if (misnamed && command.includes('lldp')) stdout = stdout.replaceAll('b-leaf', `b-leaf${HOSTILE_CELL}`);
      if (command.includes('version'))
        stdout = stdout.replaceAll(/^(SONiC Software Version: .*)$/gm, `$1${HOSTILE_CELL}`);
      if (misnamed && command.includes('description')) stdout = stdout.replaceAll('N/A', HOSTILE_CELL);
      if (command === 'hostname') stdout = `${HOSTILE_CELL}\n`;
      return { ...answer, stdout, stderr: `${answer.stderr}${HOSTILE}\n` };
    },
  });
  t.teardown(() => altered.close());
  const { traps } = parse(readFileSync(altered.inventory, 'utf8')) as { traps: { port: number } };
  const community = readFileSync(path.join(folder, 'community'), 'utf8').trim();
  const socket = createSocket('udp4');
  const trap = encodeTrap({
    community,
    requestId: 1,
    upTime: 1,
    trapOid: '1.3.6.1.6.3.1.1.5.3',
    varbinds: [
      { oid: '1.3.6.1.2.1.1.5.0', type: SNMP.octets, value: HOSTILE },
      { oid: '1.3.6.1.2.1.31.1.1.1.1.1', type: SNMP.octets, value: HOSTILE },
    ],
  });
  // Nobody listens between two runs.
  socket.on('error', () => {});
  const traffic = setInterval(() => socket.send(trap, traps.port, '127.0.0.1', () => {}), 100);
  t.teardown(() => {
    clearInterval(traffic);
    socket.close();
  });

  const plainSite = readFileSync(altered.inventory, 'utf8');
  const hostileSite = path.join(folder, 'hostile-site.yaml');
  writeFileSync(hostileSite, plainSite.replaceAll(/site: a$/gm, `site: ${JSON.stringify(HOSTILE)}`));
  const env = {
    NO_COLOR: '1',
    FARSPAN_DEBUG: '1',
    FARSPAN_STATE: path.join(scratch, 'state'),
    FARSPAN_TEST_SCENARIOS: path.join(ROOT, 'test/harness/hostile-scenarios'),
  };
  const config = ['--config', 'test/harness/cli-scenarios/lab.config.ts', '--world', 'lab'];
  const run = ['run', ...config, '--inventory', altered.inventory, '--runs', path.join(scratch, 'runs')];
  const obeyed: string[] = [];
  const look = (name: string, text: string): void => {
    const at = OBEYED.exec(text);
    if (at) obeyed.push(`${name}: ${JSON.stringify(text.slice(Math.max(0, at.index - 60), at.index + 10))}`);
  };
  const play = async (name: string, ...args: readonly string[]): Promise<Said> => {
    const done = await programProcess(process.execPath, [BIN, ...args], { env });
    look(name, done.text);
    t.comment(`${name}: exit code ${done.code}, ${done.text.length} characters`);
    return done;
  };
  // On a terminal where there is one to be had: the reporter draws more there.
  if (existsSync(SCRIPT)) {
    const quoted = [process.execPath, BIN, ...run].map(word => `'${word}'`).join(' ');
    const terminal = { ...env, NO_COLOR: '', TERM: 'xterm' };
    const { text } = await programProcess(SCRIPT, ['-qec', quoted, '/dev/null'], { env: terminal });
    t.match(text, 'it is called \\x1b[35;7m');
    look('run on a terminal', text.replaceAll(OWN, ''));
  } else t.match((await play('run', ...run)).text, 'it is called \\x1b[35;7m');
  misnamed = true;
  await Promise.all([
    play('doctor', 'doctor', '--inventory', hostileSite),
    play('discover', 'doctor', '--discover', '--inventory', altered.inventory),
  ]);
  await Promise.all([
    play('plan', 'plan', ...config, '--inventory', altered.inventory),
    play('devices', 'devices', '--inventory', hostileSite),
  ]);
  refuses = true;
  await Promise.all([
    play('recover on a lab that refuses', 'recover', '--inventory', altered.inventory),
    play('trust', 'trust', HOSTILE.replaceAll('\0', ''), '--inventory', altered.inventory),
  ]);
  t.same(obeyed, [], 'nothing that a terminal obeys');

  const [record = ''] = readdirSync(path.join(scratch, 'runs'), { recursive: true, encoding: 'utf8' }).filter(file =>
    file.endsWith('record.ndjson'),
  );
  const runFolder = path.dirname(path.join(scratch, 'runs', record));
  const text = (file: string): string => readFileSync(path.join(runFolder, file), 'utf8');
  const raw = readdirSync(runFolder).filter(file => OBEYED.test(text(file).replaceAll('\r\n', '')));
  t.same(raw, [], 'every file of the run holds them escaped');
  t.match(text('record.ndjson'), /"kind":"event".*window\.__xss/, 'a trap said it');
  t.match(text('steps.ndjson'), 'window.__xss', 'a command said it');

  if (!existsSync(CHROMIUM)) return t.comment(`no Chromium at ${CHROMIUM}; set CHROMIUM to look at the report`);
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu'] });
  t.teardown(() => browser.close());
  const page = await browser.newPage();
  const complaints: string[] = [];
  page.on('console', message => complaints.push(message.text()));
  await page.goto(pathToFileURL(path.join(runFolder, 'report.html')).href);
  await page.evaluate(`document.querySelectorAll('details').forEach(d => { d.open = true; })`);
  t.equal(await page.evaluate('window.__xss'), undefined, 'no script of a device ran');
  t.same(complaints, []);
  t.match(await page.locator('h1').first().textContent(), 'it is called');
});
