import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { OptionRefused, TestbedUnavailable } from '../../harness/binding/binding.ts';
import type { LabProvider } from '../../harness/binding/lab-provider.ts';

/** Wall time for the lab process to be ready: it loads TypeScript and makes a key per device. */
const READY_MS = 60_000;
const STOP_MS = 5_000;
const MOST_OUTPUT = 64 * 1024;

/** Options of this world, and the argument of the lab process that each one is. */
const ARGUMENTS: Readonly<Record<string, string>> = {
  defect: '--defect',
  trainPackets: '--train',
  bootTime: '--boot',
  without: '--without',
};

/** An emulated lab in a process of its own: reachable over loopback only, gone when it is stopped or its parent dies. */
const provider: LabProvider = {
  async provide(topology, { seed, options }) {
    const unknown = Object.keys(options).filter(key => !Object.hasOwn(ARGUMENTS, key));
    if (unknown.length > 0)
      throw new TestbedUnavailable(
        `The emulated lab has no option ${unknown.join(', ')}. Known: ${Object.keys(ARGUMENTS).join(', ')}.`,
      );
    const folder = await mkdtemp(path.join(tmpdir(), 'farspan-emulated-'));
    const file = path.join(folder, 'topology.json');
    await writeFile(file, JSON.stringify(topology));
    const loader = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
    const child = spawn(
      process.execPath,
      [
        '--import',
        loader,
        fileURLToPath(new URL('main.ts', import.meta.url)),
        '--ready-json',
        '--topology',
        file,
        '--dir',
        folder,
        '--seed',
        String(seed),
        ...Object.entries(options).map(([key, value]) => `${ARGUMENTS[key]}=${value}`),
      ],
      // NODE_OPTIONS of a test runner would load its hooks into the lab.
      { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, NODE_OPTIONS: '' } },
    );
    let stdout = '';
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => {
      stderr = (stderr + chunk.toString('utf8')).slice(-MOST_OUTPUT);
    });
    const exited = new Promise<void>(resolve => void child.once('close', () => resolve()));
    child.stdin.on('error', () => {});
    let stopping: Promise<void> | undefined;
    const stop = (): Promise<void> =>
      (stopping ??= (async () => {
        child.kill('SIGTERM');
        const hard = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
        await exited;
        clearTimeout(hard);
        await rm(folder, { recursive: true, force: true });
      })());

    const ready = new Promise<string>((resolve, reject) => {
      const deadline = setTimeout(() => reject(new Error(`not ready after ${READY_MS / 1000} s`)), READY_MS);
      const settle = (act: () => void): void => {
        clearTimeout(deadline);
        act();
      };
      child.once('error', error => settle(() => reject(error)));
      child.once('close', code => settle(() => reject(new Error(`it ended with exit code ${code}`))));
      child.stdout.on('data', (chunk: Buffer) => {
        if (stdout.length > MOST_OUTPUT) return;
        stdout += chunk.toString('utf8');
        const line = stdout.indexOf('\n');
        if (line < 0) return;
        settle(() => {
          try {
            resolve((JSON.parse(stdout.slice(0, line)) as { inventory: string }).inventory);
          } catch (error) {
            reject(error instanceof Error ? error : new Error(String(error)));
          }
        });
      });
    });
    try {
      return { inventory: await ready, state: path.join(folder, 'state'), stop };
    } catch (error) {
      await stop();
      // 5 is its word for what the user typed.
      if (child.exitCode === 5) throw new OptionRefused(stderr.trim(), { cause: error });
      throw new TestbedUnavailable(`The emulated lab did not start: ${stderr.trim() || (error as Error).message}`, {
        cause: error,
      });
    }
  },
};

export default provider;
