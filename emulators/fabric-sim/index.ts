export { createFabricSim } from './create-fabric-sim.ts';
export { DEFECTS, type Defect, type DefectName } from './defects.ts';
export type { FabricSim, FabricSimOptions, SimBgpSession, SimEvent, SimJob, SimPort } from './fabric-sim.ts';
export type { DatagramStream, NicCount, PortCount, SpanState } from './fabric/network.ts';
