import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { RecordLine, RunLine } from '../../harness/model/record.ts';
import type { RunVerdict } from '../../harness/model/verdict.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');

export interface Played {
  readonly title: string;
  readonly catches: { readonly defect: string; readonly by: string } | undefined;
  readonly verdict: RunVerdict;
  readonly lines: readonly RecordLine[];
}

/** Plays the shelf, or what `pattern` names of it, through the command that users type. */
export async function play(options: {
  readonly world: 'sim' | 'emulated';
  readonly pattern?: string;
  readonly defect?: string;
}): Promise<readonly Played[]> {
  const runs = mkdtempSync(path.join(tmpdir(), 'farspan-shelf-'));
  const args = ['run', '--world', options.world, '--runs', runs];
  if (options.pattern !== undefined) args.push('-g', options.pattern);
  if (options.defect !== undefined) args.push('--defect', options.defect);
  const child = spawn(process.execPath, [path.join(ROOT, 'bin/farspan.js'), ...args], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await new Promise(resolve => child.on('close', resolve));
  const folders = readdirSync(runs, { withFileTypes: true }).filter(entry => entry.isDirectory());
  if (folders.length === 0) throw new Error(`farspan ${args.join(' ')} wrote no run:\n${said}`);
  const played = folders.map(({ name }) => {
    const text = readFileSync(path.join(runs, name, 'record.ndjson'), 'utf8').trim();
    const lines = text.split('\n').map(line => JSON.parse(line) as RecordLine);
    const { scenario, plan } = lines[0] as RunLine;
    const verdict = JSON.parse(readFileSync(path.join(runs, name, 'verdict.json'), 'utf8')) as RunVerdict;
    return { title: scenario.title, catches: plan.catches, verdict, lines };
  });
  rmSync(runs, { recursive: true, force: true });
  return played;
}

/** A pattern that matches these titles and nothing else. */
export const exactly = (titles: readonly string[]): string =>
  titles.map(title => title.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|');
