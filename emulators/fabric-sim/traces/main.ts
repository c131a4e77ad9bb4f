import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  realpathSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import type { TapListener } from '../fabric/tapped-packet.ts';
import { portsOf } from './fabric-graph.ts';
import { compareFct, type FctComparison, type FctRow, parseFct, writeFct } from './fct-file.ts';
import { parseHpccConfig } from './hpcc-config.ts';
import { type Pcap, pcapOf } from './pcap.ts';
import { type Replay, type ReplayProgress, replayTrace } from './replay-trace.ts';
import { slowdownByClass, slowdownOf, type Spread, spreadOf } from './slowdown.ts';
import type { HpccBranch } from './trace-fabric.ts';
import { type TextFile, type Trace, traceOfHpcc, traceOfHtsim, withDelay } from './trace.ts';
import { TraceFormatError } from './trace-text.ts';

/**
 * The program behind `farspan trace`, a process of its own: its one argument is a {@link Job} as JSON. Exit codes are those of the
 * command line: 0 done, 1 beyond `within`, 2 flows unfinished at the files' own stop time, none at all, or not on both sides of what is to be
 * `within`, 3 an error here, 5 the files or options can not be used, 7 an output can not be written, 130 interrupted.
 */
interface Job {
  readonly hpcc?: string;
  /** Whose headers the packets have, `artefact` or `astra`. */
  readonly branch?: HpccBranch;
  readonly htsim?: string;
  readonly topo?: string;
  readonly fct?: string;
  readonly compare?: string;
  readonly within?: number;
  readonly pcap: readonly string[];
  readonly delay: readonly string[];
  readonly stopPs?: number;
  readonly seed: number;
  readonly seeds: number;
  readonly train: number;
  /** As htsim's -mtu and -pfc_thresholds LOW HIGH. */
  readonly mtu?: number;
  readonly pfc?: readonly [number, number];
}

const EXIT = { done: 0, beyond: 1, unfinished: 2, error: 3, usage: 5, evidence: 7 } as const;
const MOST_FILE_BYTES = 2 ** 28;
const MOST_TABLE_ROWS = 40;

/** What was asked for can not be done as asked. */
class UsageError extends Error {}

/** An output file does not take what it is given. */
class OutputError extends Error {}

function written<T>(file: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw new OutputError(`${file} can not be written: ${(error as Error).message}`, { cause: error });
  }
}

/** Of what was read: nothing is written over it. */
const inputs = new Set<string>();

/** Tried before the run, which may last hours; what stands in the file stays until then. */
function checkOutputs(files: readonly string[]): void {
  const seen = new Set<string>();
  for (const file of files) {
    written(file, () => closeSync(openSync(file, 'a')));
    const real = realpathSync(file);
    if (inputs.has(real)) throw new UsageError(`${file} is read here too. Name another file to write to.`);
    if (seen.has(real)) throw new UsageError(`${file} is to hold two outputs. Name a file for each.`);
    seen.add(real);
  }
}

function say(text: string): void {
  process.stdout.write(`${printable(text)}\n`);
}

/** Names in trace files are the user's, but what they hold is not to move a terminal's cursor. */
function printable(text: string): string {
  return text.replaceAll(CONTROL, character => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g;

function textOf(name: string): TextFile {
  if (!existsSync(name)) throw new UsageError(`${name} is not there.`);
  const status = statSync(name);
  const { size } = status;
  // A pipe may never end, and a device never does.
  if (!status.isFile()) throw new UsageError(`${name} is no file.`);
  if (size > MOST_FILE_BYTES) throw new UsageError(`${name} has ${size} bytes; at most ${MOST_FILE_BYTES} are read.`);
  inputs.add(realpathSync(name));
  return { name, text: readFileSync(name, 'utf8') };
}

/**
 * Configurations name their files relative to where the peer was run. Looked for there, then beside the configuration by last name:
 * collections keep them together.
 */
function besides(config: string, named: string): TextFile {
  const places = [path.resolve(path.dirname(config), named), path.join(path.dirname(config), path.basename(named))];
  const found = places.find(place => existsSync(place));
  if (found === undefined)
    throw new UsageError(`${config} names ${named}, which is neither at ${places.join(' nor at ')}.`);
  return textOf(found);
}

function traceOf(job: Job): Trace {
  if (job.hpcc !== undefined) {
    const config = textOf(job.hpcc);
    const { topologyFile, flowFile } = parseHpccConfig(config.text, config.name);
    return traceOfHpcc({
      config,
      topology: besides(job.hpcc, topologyFile),
      flows: besides(job.hpcc, flowFile),
      ...(job.branch !== undefined && { branch: job.branch }),
    });
  }
  if (job.htsim === undefined || job.topo === undefined) throw new UsageError('--htsim needs --topo FILE.');
  return traceOfHtsim({
    matrix: textOf(job.htsim),
    topology: textOf(job.topo),
    settings: {
      mtuBytes: job.mtu ?? 4096,
      queuePackets: 1000,
      pfcPackets: job.pfc === undefined ? { low: 12, high: 15 } : { low: job.pfc[0], high: job.pfc[1] },
    },
  });
}

/** `s48:s49=1us` */
function delayed(trace: Trace, option: string): Trace {
  const [, a, b, count, unit] = /^([\w-]+):([\w-]+)=(\d+(?:\.\d+)?)(ps|ns|us|ms|s)$/.exec(option) ?? [];
  if (a === undefined || b === undefined || count === undefined || unit === undefined)
    throw new UsageError(`--delay ${option}: write NODE:NODE=TIME, such as s48:s49=1us.`);
  const ps = { ps: 1, ns: 1e3, us: 1e6, ms: 1e9, s: 1e12 }[unit] as number;
  return withDelay(trace, { a, b, delayPs: Math.round(Number(count) * ps) });
}

const PCAP = /^([^:=]+):([^=]+)=(.+)$/;

interface Capture {
  readonly tap: { readonly node: string; readonly port: string; readonly listener: TapListener };
  readonly pcap: Pcap;
  readonly file: string;
  close(): void;
}

/** `s48:s49=wan.pcap` */
function captureOf(trace: Trace, option: string): Capture {
  const [, node, port, file] = PCAP.exec(option) ?? [];
  if (node === undefined || port === undefined || file === undefined)
    throw new UsageError(`--pcap ${option}: write NODE:PORT=FILE, such as s48:s49=wan.pcap.`);
  const index = trace.graph.nodes.findIndex(({ name }) => name === node);
  if (index < 0)
    throw new UsageError(`--pcap ${option}: no node ${node}. Known: ${someOf(trace.graph.nodes.map(n => n.name))}.`);
  const ports = (portsOf(trace.graph)[index] ?? []).map(({ name }) => name);
  if (!ports.includes(port))
    throw new UsageError(`--pcap ${option}: ${node} has no port ${port}. Known: ${someOf(ports)}.`);
  const numbers = new Map(trace.graph.nodes.map(({ name }, number) => [name, number]));
  const descriptor = written(file, () => openSync(file, 'w'));
  const pcap = pcapOf({
    write: piece =>
      written(file, () => {
        for (let at = 0; at < piece.length; ) at += writeSync(descriptor, piece, at);
      }),
    hostNumber: name => numbers.get(name) ?? 0,
    mtuBytes: trace.fabric.mtuBytes,
    uncapturedBytes: 0,
    originPs: Math.min(...trace.flows.flatMap(({ startPs }) => startPs ?? []), Number.MAX_SAFE_INTEGER),
  });
  return {
    tap: { node, port, listener: pcap.listener },
    pcap,
    file,
    close: () => {
      pcap.flush();
      closeSync(descriptor);
    },
  };
}

function someOf(names: readonly string[]): string {
  return names.length > 12 ? `${names.slice(0, 12).join(', ')} and ${names.length - 12} more` : names.join(', ');
}

/** One line on stderr, at most five times a second; nothing where nobody watches. */
function progress(label: string): (at: ReplayProgress) => void {
  let last = 0;
  const began = performance.now();
  return ({ elapsedPs, finished, flows, hops }) => {
    const now = performance.now();
    if (!process.stderr.isTTY || now - last < 200) return;
    last = now;
    const seconds = ((now - began) / 1000).toFixed(0);
    process.stderr.write(
      `\r\u001b[K${label}${(elapsedPs / 1e9).toFixed(3)} ms, ${finished} of ${flows} flows, ${(hops / 1e6).toFixed(1)} M packet-hops, ${seconds} s`,
    );
  };
}

function spreadLine(label: string, spread: Spread | undefined, scale: (value: number) => string): string {
  if (spread === undefined) return `${label.padEnd(22)} none`;
  const { count, mean, p50, p95, p99 } = spread;
  const cells = [
    `${count} flows`,
    `mean ${scale(mean)}`,
    `p50 ${scale(p50)}`,
    `p95 ${scale(p95)}`,
    `p99 ${scale(p99)}`,
  ];
  return `${label.padEnd(22)} ${cells.join('  ')}`;
}

const microseconds = (ns: number): string => `${(ns / 1000).toFixed(3)} us`;
const percent = (share: number): string => `${share >= 0 ? '+' : ''}${(share * 100).toFixed(2)} %`;

/** The same flows over seeds: each flow's mean. Flows that did not finish with every seed are left out. */
function meanRows(replays: readonly Replay[]): readonly FctRow[] {
  const [first] = replays;
  if (first === undefined || replays.length === 1) return first?.rows ?? [];
  return first.rows.flatMap((row, i) => {
    // By flow, not by start: one that a trigger starts begins at another time with each seed.
    const all = replays.flatMap(({ outcomes }) => outcomes[first.finished[i] as number]?.fctPs ?? []);
    return all.length < replays.length
      ? []
      : [{ ...row, fctNs: Math.round(all.reduce((sum, ps) => sum + ps, 0) / all.length / 1000) }];
  });
}

/** @returns relative difference of the means, and how many flows stand on one side alone */
function printComparison(
  { pairs, onlyTheirs, onlyOurs }: FctComparison,
  file: string,
): { readonly off: number; readonly alone: number } {
  if (pairs.length === 0) throw new UsageError(`${file} has no flow that this trace has.`);
  say(
    `\n${'flow'.padEnd(24)}${'bytes'.padStart(14)}${'theirs, us'.padStart(16)}${'ours, us'.padStart(16)}${'difference'.padStart(12)}`,
  );
  for (const { theirs, ours, difference } of pairs.slice(0, MOST_TABLE_ROWS)) {
    const name = `${theirs.source}->${theirs.target}:${theirs.targetPort}`;
    say(
      `${name.padEnd(24)}${String(theirs.bytes).padStart(14)}${(theirs.fctNs / 1000).toFixed(3).padStart(16)}${(ours.fctNs / 1000).toFixed(3).padStart(16)}${percent(difference).padStart(12)}`,
    );
  }
  if (pairs.length > MOST_TABLE_ROWS) say(`... and ${pairs.length - MOST_TABLE_ROWS} more`);
  say('');
  const theirs = spreadOf(pairs.map(pair => pair.theirs.fctNs));
  const ours = spreadOf(pairs.map(pair => pair.ours.fctNs));
  say(spreadLine('theirs', theirs, microseconds));
  say(spreadLine('ours', ours, microseconds));
  say(spreadLine('difference by flow', spreadOf(pairs.map(({ difference }) => difference)), percent));
  const off = theirs && ours ? ours.mean / theirs.mean - 1 : Number.NaN;
  say(`${'difference of means'.padEnd(22)} ${percent(off)}`);
  if (onlyTheirs.length > 0)
    say(`${onlyTheirs.length} flows of ${file} did not finish here, or are not in this trace.`);
  if (onlyOurs.length > 0) say(`${onlyOurs.length} flows of this trace are not in ${file}.`);
  return { off, alone: onlyTheirs.length + onlyOurs.length };
}

function play(job: Job): number {
  const trace = job.delay.reduce(delayed, traceOf(job));
  const compared = job.compare === undefined ? undefined : textOf(job.compare);
  const theirs = compared && parseFct(compared.text, compared.name);
  checkOutputs([
    ...(job.fct === undefined ? [] : [job.fct]),
    ...job.pcap.flatMap(option => PCAP.exec(option)?.[3] ?? []),
  ]);
  const captures = job.pcap.map(option => captureOf(trace, option));
  for (const note of trace.notes) process.stderr.write(`note: ${printable(note)}\n`);

  const replays: Replay[] = [];
  for (let seed = job.seed; seed < job.seed + job.seeds; seed += 1) {
    replays.push(
      replayTrace({
        trace,
        seed,
        trainPackets: job.train,
        // Packets of one run: those of the first seed.
        taps: seed === job.seed ? captures.map(({ tap }) => tap) : [],
        onProgress: progress(job.seeds > 1 ? `seed ${seed}: ` : ''),
        ...(job.stopPs !== undefined && { stopAfterPs: job.stopPs }),
      }),
    );
    if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
  }
  for (const capture of captures) {
    capture.close();
    say(`${capture.file}: ${capture.pcap.packets} packets`);
  }
  const [first] = replays as [Replay, ...Replay[]];
  for (const difference of first.differences) process.stderr.write(`differs: ${printable(difference)}\n`);
  const rows = meanRows(replays);
  const { fct } = job;
  if (fct !== undefined) written(fct, () => writeFileSync(fct, writeFct(rows)));

  const unfinished = trace.flows.length - rows.length;
  say(
    `${trace.flows.length} flows, ${trace.flows.length === 0 ? 'so nothing was played' : unfinished === 0 ? 'all finished' : `${unfinished} not finished`} in ${((first.endedPs - first.outcomes.reduce((least, { startPs }) => Math.min(least, startPs ?? least), first.endedPs)) / 1e9).toFixed(6)} ms; ${first.hops} packet-hops${job.seeds > 1 ? `; means of ${job.seeds} seeds` : ''}`,
  );
  const { dropped } = first.network.account;
  if (dropped > 0) say(`${dropped} packets were dropped${job.seeds > 1 ? ` with seed ${job.seed}` : ''}.`);
  say(spreadLine('completion time', spreadOf(rows.map(({ fctNs }) => fctNs)), microseconds));
  say(spreadLine('slowdown', spreadOf(rows.map(slowdownOf)), value => value.toFixed(3)));
  if (new Set(trace.sites).size > 1) {
    const { intra, inter } = slowdownByClass(rows, node => trace.sites[node]);
    say(spreadLine('slowdown, inside sites', intra, value => value.toFixed(3)));
    say(spreadLine('slowdown, between', inter, value => value.toFixed(3)));
  }
  if (theirs !== undefined && compared !== undefined) {
    const { off, alone } = printComparison(compareFct(theirs, rows), compared.name);
    if (job.within !== undefined && !(Math.abs(off) <= job.within)) {
      say(`The means differ by ${percent(off)}; ${percent(job.within).slice(1)} is allowed.`);
      return EXIT.beyond;
    }
    // The quick flows of both may agree where the slow ones are missing.
    if (job.within !== undefined && alone > 0) {
      say(`${alone} flows have nothing to be compared with, so nothing is concluded of the means.`);
      return EXIT.unfinished;
    }
  }
  if (trace.flows.length === 0) return EXIT.unfinished;
  // Who asks for an early end gets one; a flow that misses the files' own end is news.
  return unfinished === 0 || job.stopPs !== undefined ? EXIT.done : EXIT.unfinished;
}

try {
  process.exitCode = play(JSON.parse(process.argv[2] ?? '') as Job);
} catch (error) {
  const thrown = error instanceof Error ? error : new Error(String(error));
  const usage = thrown instanceof UsageError || thrown instanceof TraceFormatError || thrown instanceof RangeError;
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
  process.stderr.write(`farspan: ${printable(thrown.message)}\n`);
  if (process.env['FARSPAN_DEBUG'] !== undefined) process.stderr.write(`${printable(thrown.stack ?? '')}\n`);
  if (thrown instanceof OutputError) process.exitCode = EXIT.evidence;
  else process.exitCode = usage ? EXIT.usage : 'code' in thrown ? EXIT.usage : EXIT.error;
}
