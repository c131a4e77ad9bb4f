/** The only door for scenarios. Everything a scenario file may use is listed here. */
export { plan, scenario } from './playwright/scenario.ts';

export { cut } from './faults/span-cut.ts';
export { degrade } from './faults/span-degrade.ts';
export { flap } from './faults/span-flap.ts';
export { linkDown } from './faults/link-down.ts';
export { protectionSwitch } from './faults/protection-switch.ts';
export { reboot } from './faults/switch-reboot.ts';

export { allGather } from './loads/all-gather.ts';
export { allReduce } from './loads/all-reduce.ts';
export { allToAll } from './loads/all-to-all.ts';
export { broadcast } from './loads/broadcast.ts';
export { expertAllToAll } from './loads/expert-all-to-all.ts';
export { flowDoubling } from './loads/flow-doubling.ts';
export { incast } from './loads/incast.ts';
export { permutation } from './loads/permutation.ts';
export { pipeline } from './loads/pipeline.ts';
export { reduceScatter } from './loads/reduce-scatter.ts';
export { storage } from './loads/storage.ts';
export { trainingIteration } from './loads/training-iteration.ts';

export { busbw } from './checks/busbw.ts';
export { ccConvergence } from './checks/cc-convergence.ts';
export { convergence } from './checks/convergence.ts';
export { ecnMarks } from './checks/ecn-marks.ts';
export { exposedCommunication } from './checks/exposed-communication.ts';
export { fairness } from './checks/fairness.ts';
export { goodput } from './checks/goodput.ts';
export { jct } from './checks/jct.ts';
export { jobRecovery } from './checks/job-recovery.ts';
export { loss } from './checks/loss.ts';
export { pfcPause } from './checks/pfc-pause.ts';
export { powerBand } from './checks/power-band.ts';
export { powerRamp } from './checks/power-ramp.ts';
export { probeLoss } from './checks/probe-loss.ts';
export { queuePeak } from './checks/queue-peak.ts';
export { scalingEfficiency } from './checks/scaling-efficiency.ts';
export { sitePower } from './checks/site-power.ts';
export { spec } from './checks/spec.ts';

export * from './model/fabric-settings.ts';
export { H200_POWER, type PowerModel } from './model/power.ts';
export { cable, linkBetween, switchNamed } from './model/topology.ts';
export { magnitude, print } from './model/units.ts';

export type { Bound, Check, LimitKind, SpecRef, Statistic } from './model/check.ts';
export type { Direction, Fault, Light } from './model/fault.ts';
export type { Load } from './model/load.ts';
export type { DecisionRule, Phase, Plan } from './model/plan.ts';
export type {
  ControlPlaneSettings,
  DcqcnSettings,
  EcnSettings,
  FabricSettings,
  Host,
  Link,
  PfcSettings,
  PortRef,
  RoceSettings,
  SelectiveRepeatSettings,
  Span,
  SwitchingSettings,
  SwitchNode,
  Topology,
  TransportSettings,
} from './model/topology.ts';
export type { Count, Distance, Duration, Quantity, Rate, Rounds, Share, Size } from './model/units.ts';
