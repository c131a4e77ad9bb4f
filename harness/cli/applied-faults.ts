import { existsSync, readFileSync } from 'node:fs';
import { type JournalFault, readJournal } from '../lab/journal.ts';

export interface AppliedFault {
  readonly fault: string;
  readonly what: string;
  readonly devices: readonly string[];
  /** Longest until the timers of its devices undo it without us, s. */
  readonly ttlS: number;
  /** Whether every device it is on has such a timer. */
  readonly armed: boolean;
}

/** The faults of running scenarios, out of their journals: what a person must know who is about to leave. */
export interface AppliedFaults {
  /** Armed or injected and not yet seen healed. */
  now(): readonly AppliedFault[];
  /** Faults whose healing ended since the last call */
  changed(): readonly (AppliedFault & { readonly healed: boolean })[];
}

const described = (fault: JournalFault, ttlS: number): AppliedFault => ({
  fault: fault.fault,
  what: fault.what,
  devices: fault.changes.map(({ device }) => device),
  ttlS,
  armed: fault.unarmed.length === 0,
});

/** @param list a file that names a journal a line; workers add to it as they begin one */
export function appliedFaults(list: string): AppliedFaults {
  const told = new Set<string>();

  const all = (): readonly { readonly key: string; readonly fault: JournalFault; readonly ttlS: number }[] => {
    if (!existsSync(list)) return [];
    return readFileSync(list, 'utf8')
      .split('\n')
      .filter(file => file !== '')
      .flatMap(file => {
        const closed = file.replace(/\.open\.ndjson$/, '.closed.ndjson');
        try {
          const { header, faults } = readJournal(existsSync(file) ? file : closed);
          return faults.map(fault => ({ key: `${file} ${fault.fault}`, fault, ttlS: header.ttlS }));
        } catch {
          // A lab that existed only for its run took its journal with it: nothing of it is in effect.
          return [];
        }
      });
  };
  const ended = ({ fault }: { readonly fault: JournalFault }): boolean =>
    fault.state === 'closed' || fault.state === 'unhealed';
  return {
    now: () => all().flatMap(one => (ended(one) ? [] : [described(one.fault, one.ttlS)])),
    changed() {
      const news = all().filter(one => ended(one) && !told.has(one.key));
      for (const { key } of news) told.add(key);
      return news.map(({ fault, ttlS }) => ({ ...described(fault, ttlS), healed: fault.state === 'closed' }));
    },
  };
}
