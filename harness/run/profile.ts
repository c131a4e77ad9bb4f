import { isMap, isPair, isScalar, LineCounter, type Node, parseDocument } from 'yaml';
import { z } from 'zod';
import type { Profile } from '../model/check.ts';
import { magnitude, type Quantity } from '../model/units.ts';

/** A profile that can not be used, and where in its file: `profiles/ours.yaml:4:11: …`. */
export class ProfileError extends Error {
  override readonly name = 'ProfileError';
  readonly file: string;
  readonly line: number;
  readonly column: number;

  constructor(mistakes: readonly Mistake[], file: string) {
    super(mistakes.map(({ line, column, message }) => `${file}:${line}:${column}: ${message}`).join('\n'));
    this.file = file;
    this.line = mistakes[0]?.line ?? 1;
    this.column = mistakes[0]?.column ?? 1;
  }
}

interface Mistake {
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

const SHARE_OF = /^\S+ % of \S/;

const bound = z.string('write a quantity such as "50 ms", or "90 % of roofline"').refine(isBound, {
  error:
    'is no bound. Write a number, a space and a unit ("50 ms", "88 Gb/s"), "90 % of roofline" or "99 % of steady".',
});

const limit = z.strictObject({
  bound,
  upper: bound.optional(),
  kind: z.enum(['mandatory', 'conditional', 'optional', 'informative']),
  source: z.string().trim().min(1, 'say which document and clause the limit is from, or who decided it'),
});

const profile = z.strictObject({
  name: z.string().trim().min(1),
  limits: z.record(z.string(), limit),
});

/**
 * Reads a profile, a YAML 1.2 file of named limits:
 *
 * ```yaml
 * name: two sites, 2026
 * limits:
 *   failover.convergence: { bound: 50 ms, kind: mandatory, source: "G.841 section 7, protection switch time" }
 * ```
 *
 * @throws ProfileError with file, line and column of every mistake, and the keys that are known where one is not
 */
export function readProfile(text: string, file: string): Profile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const at = (offset: number): Pick<Mistake, 'line' | 'column'> => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  if (document.errors.length > 0) {
    // The library's message repeats the place and draws the line; ours is one line.
    throw new ProfileError(
      document.errors.map(({ pos, message }) => ({ ...at(pos[0]), message: message.split(' at line ')[0] ?? message })),
      file,
    );
  }
  let data: unknown;
  try {
    data = document.toJS({ maxAliasCount: 20 });
  } catch (error) {
    throw new ProfileError([{ line: 1, column: 1, message: (error as Error).message }], file);
  }
  const parsed = profile.safeParse(data);
  if (parsed.success) return parsed.data as Profile;
  const mistakes = parsed.error.issues.map((issue): Mistake => {
    const path = issue.path.map(String);
    const key = issue.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
    return {
      ...at(offsetOf(document.contents, path, key)),
      message: wordsOf(issue, { path, absent: path.length > 0 && !document.hasIn(path) }),
    };
  });
  throw new ProfileError(mistakes, file);
}

function isBound(text: string): boolean {
  // No quantity that is judged can be below zero; a negative limit would pass, or fail, everything.
  if (text.startsWith('-')) return false;
  if (SHARE_OF.test(text)) return Number.isFinite(Number(text.split(' ')[0]));
  try {
    return Number.isFinite(magnitude(text as Quantity));
  } catch {
    return false;
  }
}

const KNOWN: Readonly<Record<string, readonly string[]>> = {
  profile: Object.keys(profile.shape),
  limit: Object.keys(limit.shape),
};

function wordsOf(
  issue: z.core.$ZodIssue,
  { path, absent }: { readonly path: readonly string[]; readonly absent: boolean },
): string {
  const where = path.join('.') || 'the file';
  const known = (KNOWN[path.length < 2 ? 'profile' : 'limit'] ?? []).join(', ');
  if (issue.code === 'unrecognized_keys') return `${where}: unknown key ${issue.keys.join(', ')}. Known: ${known}.`;
  if (absent) return `${where}: is required. ${issue.message}`;
  if (issue.code === 'invalid_value') return `${where}: one of ${issue.values.join(', ')} is needed.`;
  return `${where}: ${issue.message}`;
}

/** Where a path is in the text: of its value, of the key itself when `key` is the mistake, or of the nearest thing around it. */
function offsetOf(root: Node | null, path: readonly string[], key: string | undefined): number {
  let node: unknown = root;
  let offset = root?.range?.[0] ?? 0;
  for (const part of key === undefined ? path : [...path, key]) {
    if (!isMap(node)) return offset;
    const pair = node.items.find(item => isPair(item) && isScalar(item.key) && String(item.key.value) === part);
    if (!pair) return offset;
    const [ofKey, ofValue] = [pair.key as Node, pair.value as Node | null];
    const isMistake = part === key;
    offset = (isMistake ? undefined : ofValue?.range?.[0]) ?? ofKey.range?.[0] ?? offset;
    node = ofValue;
  }
  return offset;
}
