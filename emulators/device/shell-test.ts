export interface FileFacts {
  readonly kind: (path: string) => 'file' | 'folder' | undefined;
  /** Characters of a file; 0 when there is none. */
  readonly size: (path: string) => number;
}

const UNARY: ReadonlySet<string> = new Set(Array.from('bcdefghLnprsStuwxz', letter => `-${letter}`));
const BINARY: ReadonlySet<string> = new Set(['=', '==', '!=', '-eq', '-ne', '-lt', '-le', '-gt', '-ge', '<', '>']);
/** Deepest nesting of brackets and `!`. */
const DEEPEST = 100;

class Wrong extends Error {}

/** `test` and `[` (POSIX). A text is what is wrong with the expression. */
export function shellTest(words: readonly string[], facts: FileFacts): boolean | string {
  try {
    return decide(words, facts, 0);
  } catch (error) {
    if (error instanceof Wrong) return error.message;
    throw error;
  }
}

/** By the number of words, as POSIX has it for up to four; the obsolescent `-a`, `-o` and brackets for more. */
function decide(words: readonly string[], facts: FileFacts, depth: number): boolean {
  if (depth > DEEPEST) throw new Wrong('nested too deeply for this device');
  const [first, second, third] = words as [string, string, string];
  if (words.length === 0) return false;
  if (words.length === 1) return first !== '';
  if (words.length === 3 && BINARY.has(second)) return compare(first, second, third);
  const or = words.length > 3 || second === '-o' || second === '-a' ? outside(words, '-o') : -1;
  if (or > 0) return decide(words.slice(0, or), facts, depth + 1) || decide(words.slice(or + 1), facts, depth + 1);
  const and = words.length > 3 || second === '-a' ? outside(words, '-a') : -1;
  if (and > 0) return decide(words.slice(0, and), facts, depth + 1) && decide(words.slice(and + 1), facts, depth + 1);
  if (first === '!') return !decide(words.slice(1), facts, depth + 1);
  if (words.length === 2) {
    if (!UNARY.has(first)) throw new Wrong(`${first}: unexpected operator`);
    return unary(first, second, facts);
  }
  if (first === '(' && words.at(-1) === ')') return decide(words.slice(1, -1), facts, depth + 1);
  throw new Wrong(`${words.length === 3 ? second : (words[3] as string)}: unexpected operator`);
}

/** Where the operator stands outside brackets, behind its left side. */
function outside(words: readonly string[], operator: string): number {
  let open = 0;
  for (const [i, word] of words.entries()) {
    if (word === '(') open++;
    else if (word === ')') open--;
    else if (word === operator && open === 0 && i > 0 && i < words.length - 1) return i;
  }
  return -1;
}

function unary(operator: string, operand: string, { kind, size }: FileFacts): boolean {
  switch (operator) {
    case '-n':
      return operand !== '';
    case '-z':
      return operand === '';
    case '-f':
      return kind(operand) === 'file';
    case '-d':
      return kind(operand) === 'folder';
    case '-s':
      return kind(operand) === 'folder' || size(operand) > 0;
    case '-e':
    case '-r':
    case '-w':
      return kind(operand) !== undefined;
    case '-x':
      return kind(operand) === 'folder';
    default:
      return false;
  }
}

function compare(left: string, operator: string, right: string): boolean {
  switch (operator) {
    case '=':
    case '==':
      return left === right;
    case '!=':
      return left !== right;
    case '<':
      return left < right;
    case '>':
      return left > right;
  }
  const [a, b] = [integer(left), integer(right)];
  switch (operator) {
    case '-eq':
      return a === b;
    case '-ne':
      return a !== b;
    case '-lt':
      return a < b;
    case '-le':
      return a <= b;
    case '-gt':
      return a > b;
    default:
      return a >= b;
  }
}

function integer(text: string): bigint {
  if (!/^\s*[-+]?\d{1,100}\s*$/.test(text)) throw new Wrong(`Illegal number: ${text}`);
  return BigInt(text.trim().replace('+', ''));
}
