/** A wrong expression; the message is what stands behind `arithmetic expression: `. */
export class ArithmeticError extends Error {}

export interface Variables {
  get(name: string): string | undefined;
  set(name: string, value: string): void;
}

const TOKEN =
  /\s*(?:(0[xX][0-9a-fA-F]+|\d+)|([A-Za-z_]\w*)|(<<=|>>=|&&|\|\||<<|>>|[-+*/%&|^<>=!]=|[-+*/%&|^<>=!~?:(),]))/y;
/** Deepest nesting of brackets and signs. */
const DEEPEST = 100;
/** Binary operators, the ones that bind least first (C). */
const LEVELS: readonly (readonly string[])[] = [
  ['||'],
  ['&&'],
  ['|'],
  ['^'],
  ['&'],
  ['==', '!='],
  ['<=', '>=', '<', '>'],
  ['<<', '>>'],
  ['+', '-'],
  ['*', '/', '%'],
];

/** `$((…))`: 64-bit integers with C's operators. @throws ArithmeticError */
export function arithmetic(text: string, variables: Variables): string {
  const tokens: string[] = [];
  let end = 0;
  TOKEN.lastIndex = 0;
  for (let match = TOKEN.exec(text); match; match = TOKEN.exec(text)) {
    tokens.push(match[1] ?? match[2] ?? (match[3] as string));
    end = TOKEN.lastIndex;
  }
  const rest = text.slice(end).trim();
  if (rest !== '') throw new ArithmeticError(`syntax error near "${rest.slice(0, 40)}"`);
  return String(evaluate(tokens, variables));
}

const ASSIGNMENT = /^(?:[-+*/%&|^]|<<|>>)?=$/;
const whole = (value: bigint): bigint => BigInt.asIntN(64, value);

function evaluate(tokens: readonly string[], variables: Variables): bigint {
  let at = 0;
  let depth = 0;
  const value = (name: string): bigint => {
    const text = (variables.get(name) ?? '').trim();
    if (text === '') return 0n;
    if (!/^[-+]?(?:0[xX][0-9a-fA-F]+|\d+)$/.test(text)) throw new ArithmeticError(`variable ${name} is no number`);
    return text.startsWith('-') ? -number(text.slice(1)) : number(text.replace('+', ''));
  };
  const number = (text: string): bigint => {
    if (/^0\d+$/.test(text)) {
      if (!/^[0-7]+$/.test(text)) throw new ArithmeticError('syntax error: no octal number');
      return BigInt(`0o${text.slice(1)}`);
    }
    return whole(BigInt(text));
  };
  const expect = (token: string): void => {
    if (tokens[at++] !== token) throw new ArithmeticError(`expecting '${token}'`);
  };

  /** `live` is false in the half of an expression that is not evaluated. */
  const assignment = (live: boolean): bigint => {
    if (++depth > DEEPEST) throw new ArithmeticError('nested too deeply for this device');
    const [name, operator] = [tokens[at] ?? '', tokens[at + 1] ?? ''];
    if (/^[A-Za-z_]/.test(name) && ASSIGNMENT.test(operator)) {
      at += 2;
      const right = assignment(live);
      const result = !live ? 0n : operator === '=' ? right : apply(operator.slice(0, -1), value(name), right);
      if (live) variables.set(name, String(result));
      depth--;
      return result;
    }
    const condition = binary(0, live);
    depth--;
    if (tokens[at] !== '?') return condition;
    at++;
    const yes = assignment(live && condition !== 0n);
    expect(':');
    const no = assignment(live && condition === 0n);
    return condition === 0n ? no : yes;
  };

  const binary = (level: number, live: boolean): bigint => {
    const operators = LEVELS[level];
    if (!operators) return unary(live);
    let left = binary(level + 1, live);
    for (let operator = tokens[at]; operator !== undefined && operators.includes(operator); operator = tokens[at]) {
      at++;
      if (operator === '&&' || operator === '||') {
        const decided = operator === '&&' ? left === 0n : left !== 0n;
        const right = binary(level + 1, live && !decided);
        left = (operator === '&&' ? left !== 0n && right !== 0n : left !== 0n || right !== 0n) ? 1n : 0n;
      } else {
        const right = binary(level + 1, live);
        left = live ? apply(operator, left, right) : 0n;
      }
    }
    return left;
  };

  const unary = (live: boolean): bigint => {
    const token = tokens[at++];
    if (token === undefined) throw new ArithmeticError('expecting primary');
    if (token === '-' || token === '+' || token === '!' || token === '~') {
      if (++depth > DEEPEST) throw new ArithmeticError('nested too deeply for this device');
      const operand = unary(live);
      depth--;
      if (token === '!') return operand === 0n ? 1n : 0n;
      return whole(token === '-' ? -operand : token === '~' ? ~operand : operand);
    }
    if (token === '(') {
      const inner = assignment(live);
      expect(')');
      return inner;
    }
    if (/^\d/.test(token)) return number(token);
    if (/^[A-Za-z_]/.test(token)) return live ? value(token) : 0n;
    throw new ArithmeticError('expecting primary');
  };

  const result = assignment(true);
  if (at < tokens.length) throw new ArithmeticError(`expecting EOF`);
  return result;
}

function apply(operator: string, left: bigint, right: bigint): bigint {
  const truth = (on: boolean): bigint => (on ? 1n : 0n);
  if ((operator === '/' || operator === '%') && right === 0n) throw new ArithmeticError('division by zero');
  switch (operator) {
    case '+':
      return whole(left + right);
    case '-':
      return whole(left - right);
    case '*':
      return whole(left * right);
    case '/':
      return whole(left / right);
    case '%':
      return left % right;
    case '<<':
      return whole(left << (right & 63n));
    case '>>':
      return left >> (right & 63n);
    case '&':
      return left & right;
    case '|':
      return left | right;
    case '^':
      return left ^ right;
    case '==':
      return truth(left === right);
    case '!=':
      return truth(left !== right);
    case '<':
      return truth(left < right);
    case '>':
      return truth(left > right);
    case '<=':
      return truth(left <= right);
    default:
      return truth(left >= right);
  }
}
