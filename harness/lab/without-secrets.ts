import type { Secrets } from './secrets.ts';

type Callable = (...args: unknown[]) => unknown;

/** It does things, so what it gives must be looked at when it gives it. */
const acts = (value: object): boolean =>
  Object.values(value).some(part => typeof part === 'function') ||
  (!(value instanceof Map || value instanceof Set || Array.isArray(value)) &&
    ![Object.prototype, null].includes(Object.getPrototypeOf(value) as object | null));

/**
 * The same object, seen through a door that no secret leaves by: what its methods return or resolve to, and what they throw or reject
 * with, is redacted, and so on for objects with methods that they give.
 */
export function withoutSecrets<T extends object>(target: T, secrets: Secrets): T {
  const out = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return secrets.data(value);
    if (value instanceof Error) return secrets.error(value);
    return acts(value) ? withoutSecrets(value, secrets) : secrets.data(value);
  };
  const fail = (error: unknown): never => {
    throw secrets.error(error);
  };
  return new Proxy(target, {
    get(from, name) {
      const value: unknown = Reflect.get(from, name, from);
      if (typeof value !== 'function') return out(value);
      return (...args: unknown[]): unknown => {
        try {
          const result = (value as Callable).apply(from, args);
          return result instanceof Promise ? result.then(out, fail) : out(result);
        } catch (error) {
          return fail(error);
        }
      };
    },
  });
}
