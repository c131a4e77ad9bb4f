import type { RecordLine } from '../model/record.ts';
import type { Cleanliness } from '../model/verdict.ts';

/**
 * Counts faults, heals and read-backs in the record. Dirty is every fault whose last heal was not verified by a read-back, or that was
 * never healed, and whatever the testbed itself said when it was given back.
 */
export function cleanlinessOf(lines: readonly RecordLine[]): Cleanliness {
  const faults = new Map(lines.flatMap(line => (line.kind === 'fault' ? [[line.id, line] as const] : [])));
  const heals = new Map(lines.flatMap(line => (line.kind === 'heal' ? [[line.fault, line] as const] : [])));
  const known = [...faults.keys()];
  const unrestored = known.flatMap(id => {
    const heal = heals.get(id);
    if (heal?.verified) return [];
    if (!heal) return [`${id} was never healed`];
    return [
      `${id}: expected ${heal.expected}, found ${heal.observed}${heal.manual === undefined ? '' : `. Type: ${heal.manual}`}`,
    ];
  });
  const said = lines.flatMap(line => (line.kind === 'end' ? (line.dirty ?? []) : []));
  return {
    injected: known.length,
    healed: known.filter(id => heals.has(id)).length,
    verified: known.filter(id => heals.get(id)?.verified).length,
    dirty: [...unrestored, ...said],
  };
}
