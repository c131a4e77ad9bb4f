import type {
  EffectLine,
  EndLine,
  FaultLine,
  HealLine,
  PhaseLine,
  RecordLine,
  RunLine,
} from '../harness/model/record.ts';
import { groupBy } from './group-by.ts';

/** One injected fault with everything that was seen of it. */
export interface FaultStory {
  readonly injected: FaultLine;
  readonly effects: readonly EffectLine[];
  readonly heal: HealLine | undefined;
  readonly beginNs: number;
  /** When it was healed, or the end of the run when it never was. */
  readonly endNs: number;
}

/** Phases, faults and length of a run, from its record. Times in ns since the reservation. */
export interface Timeline {
  readonly run: RunLine | undefined;
  readonly end: EndLine | undefined;
  readonly endNs: number;
  readonly phases: readonly PhaseLine[];
  readonly faults: readonly FaultStory[];
}

const lastInstant = (line: RecordLine): number => {
  switch (line.kind) {
    case 'phase':
    case 'round':
    case 'probe':
      return line.endNs;
    case 'fault':
      return line.injectedNs;
    case 'heal':
      return line.healedNs;
    case 'effect':
    case 'flow':
    case 'counters':
    case 'clock':
    case 'event':
    case 'end':
      return line.atNs;
    case 'run':
    case 'testbed':
    case 'truth':
      return 0;
  }
};

export function timelineOf(lines: readonly RecordLine[]): Timeline {
  const end = lines.find(line => line.kind === 'end');
  // reduce, not Math.max(...): a night's record has more lines than a call has room for arguments.
  const endNs = lines.reduce((latest, line) => Math.max(latest, lastInstant(line)), 0);
  const effects = groupBy(
    lines.filter(line => line.kind === 'effect'),
    effect => effect.fault,
  );
  const heals = new Map(lines.filter(line => line.kind === 'heal').map(heal => [heal.fault, heal]));
  const faults = lines
    .filter(line => line.kind === 'fault')
    .map((injected): FaultStory => {
      const heal = heals.get(injected.id);
      return {
        injected,
        effects: effects.get(injected.id) ?? [],
        heal,
        beginNs: injected.injectedNs,
        endNs: heal?.healedNs ?? endNs,
      };
    });
  return {
    run: lines.find(line => line.kind === 'run'),
    end,
    endNs,
    phases: lines.filter(line => line.kind === 'phase'),
    faults,
  };
}

/** A length of testbed time that all plots share: its unit and how many ns one is. */
export function timeUnit(endNs: number): { readonly unit: string; readonly ns: number } {
  if (endNs < 2e6) return { unit: 'us', ns: 1e3 };
  return endNs < 10e9 ? { unit: 'ms', ns: 1e6 } : { unit: 's', ns: 1e9 };
}
