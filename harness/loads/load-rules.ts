import type { Load, LoadKind } from '../model/load.ts';
import { allGatherRules } from './all-gather.ts';
import { allReduceRules } from './all-reduce.ts';
import { allToAllRules } from './all-to-all.ts';
import { broadcastRules } from './broadcast.ts';
import { expertAllToAllRules } from './expert-all-to-all.ts';
import { flowDoublingRules } from './flow-doubling.ts';
import type { LoadRules } from './flow.ts';
import { incastRules } from './incast.ts';
import { permutationRules } from './permutation.ts';
import { pipelineRules } from './pipeline.ts';
import { reduceScatterRules } from './reduce-scatter.ts';
import { storageRules } from './storage.ts';
import { trainingIterationRules } from './training-iteration.ts';

const RULES: { readonly [K in LoadKind]: LoadRules<Extract<Load, { kind: K }>> } = {
  'all-reduce': allReduceRules,
  'reduce-scatter': reduceScatterRules,
  'all-gather': allGatherRules,
  broadcast: broadcastRules,
  'all-to-all': allToAllRules,
  'expert-all-to-all': expertAllToAllRules,
  pipeline: pipelineRules,
  'training-iteration': trainingIterationRules,
  storage: storageRules,
  incast: incastRules,
  permutation: permutationRules,
  'flow-doubling': flowDoublingRules,
};

/** The rules of this load's kind. */
export function rulesOf<L extends Load>(load: L): LoadRules<L> {
  // The table maps each kind to the rules of that kind; the compiler can not follow the index.
  return RULES[load.kind] as unknown as LoadRules<L>;
}
