/** How the worker tells the reporter what it did; both sides import this. Playwright carries annotations between processes. */
export const ANNOTATION = {
  /** The folder of a run, absolute. */
  run: 'farspan-run',
  /** Which kind of trouble an error was, see `Trouble`. */
  trouble: 'farspan-trouble',
  /** Faults, heals and read-backs of an imperative scenario, and what it could not restore: `Cleanliness` as JSON. */
  cleanliness: 'farspan-cleanliness',
  /** A plan as JSON, when nothing is to be run (`farspan plan`). */
  plan: 'farspan-plan',
} as const;

/** Whose turn it is after an error: the user's (usage), the queue's (lease), the disk's (evidence), the lab's, or `farspan recover`'s (dirty). */
export type Trouble = 'usage' | 'lease' | 'evidence' | 'lab' | 'dirty';

const USAGE: ReadonlySet<string> = new Set([
  'InventoryError',
  'PlanError',
  'ProfileError',
  'UsageError',
  'OptionRefused',
  'VariationError',
]);

/** By the error's class: its name as thrown, or the class it was made from. */
export function troubleOf(error: Error): Trouble {
  const names = [error.name, error.constructor.name];
  if (names.includes('EvidenceError')) return 'evidence';
  if (names.includes('LabDirty')) return 'dirty';
  if (names.includes('LeaseRefused') || names.includes('LeaseLost')) return 'lease';
  return names.some(name => USAGE.has(name)) ? 'usage' : 'lab';
}
