import { OptionRefused } from '../../../harness/binding/binding.ts';
import { GRANULARITY_WORDS, type PhaseGranularity, phaseGranularity } from '../../../harness/model/granularity.ts';
import { DEFECTS } from '../defects.ts';

export interface SimOptions {
  readonly trainPackets: number;
  readonly defect?: string;
  /** Of each phase, in the order of the plan; absent: trains of `trainPackets` throughout. */
  readonly granularity?: PhaseGranularity;
}

/** Packets simulated as one unit unless the option says otherwise. */
const DEFAULT_TRAIN = 8;
const LONGEST_TRAIN = 64;

const KNOWN = ['defect', 'trainPackets', 'granularity'] as const;

/** @throws OptionRefused for an unknown option, an unknown defect, or a train length that is not a whole number from 1 to 64 */
export function readOptions(options: Readonly<Record<string, string>>): SimOptions {
  for (const name of Object.keys(options)) {
    if (!(KNOWN as readonly string[]).includes(name)) {
      throw new OptionRefused(`The sim world has no option "${name}". Known: ${KNOWN.join(', ')}.`);
    }
  }
  const { defect, trainPackets: words = String(DEFAULT_TRAIN) } = options;
  if (defect !== undefined && !Object.hasOwn(DEFECTS, defect)) {
    throw new OptionRefused(`There is no defect "${defect}". Known: ${Object.keys(DEFECTS).join(', ')}.`);
  }
  const trainPackets = Number(words);
  if (!/^\d+$/.test(words) || trainPackets < 1 || trainPackets > LONGEST_TRAIN) {
    throw new OptionRefused(`Option trainPackets is a whole number from 1 to ${LONGEST_TRAIN}, got "${words}".`);
  }
  const granularity = options['granularity'] === undefined ? undefined : phaseGranularity(options['granularity']);
  if (options['granularity'] !== undefined && granularity === undefined)
    throw new OptionRefused(`Option granularity is ${GRANULARITY_WORDS}, got "${options['granularity']}".`);
  return { trainPackets, ...(defect !== undefined && { defect }), ...(granularity && { granularity }) };
}
