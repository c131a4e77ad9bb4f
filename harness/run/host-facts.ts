import { execFileSync } from 'node:child_process';
import os from 'node:os';
import type { HostFacts } from './run-folder.ts';

const GIT_TIMEOUT_MS = 5000;

/** Where this run is made. Wall times come in, so that tests can fix them. */
export function hostFacts({
  root,
  begun,
  ended,
}: {
  readonly root: string;
  readonly begun: Date;
  readonly ended?: Date;
}): HostFacts {
  return {
    begun: begun.toISOString(),
    ended: ended?.toISOString() ?? null,
    tookMs: ended ? ended.getTime() - begun.getTime() : null,
    node: process.version,
    platform: `${os.platform()} ${os.arch()} ${os.release()}`,
    cpus: os.cpus().length,
    commit: commitOf(root),
  };
}

const commits = new Map<string, string | null>();

function commitOf(root: string): string | null {
  const known = commits.get(root);
  if (known !== undefined) return known;
  const git = (...args: string[]): string =>
    execFileSync('git', args, {
      cwd: root,
      encoding: 'utf8',
      timeout: GIT_TIMEOUT_MS,
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  let commit: string | null;
  try {
    commit = `${git('rev-parse', 'HEAD')}${git('status', '--porcelain', '--untracked-files=no') === '' ? '' : '+changes'}`;
  } catch {
    commit = null;
  }
  commits.set(root, commit);
  return commit;
}
