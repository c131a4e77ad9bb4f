import { fileURLToPath } from 'node:url';

/** A line in a scenario file. Used for links and failure arrows only, never for logic. */
export interface CallSite {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/**
 * Where the caller of our caller stands.
 * Reads V8 stack text (the one place that does); `depth` counts further frames to go up.
 */
export function callSite(depth = 0): CallSite {
  const line = new Error('where').stack?.split('\n')[3 + depth] ?? '';
  const match = /\(?([^()\s]+):(\d+):(\d+)\)?$/.exec(line);
  if (!match) return { file: 'unknown', line: 0, column: 0 };
  const [, file = '', row, column] = match;
  return { file: file.startsWith('file:') ? fileURLToPath(file) : file, line: Number(row), column: Number(column) };
}
