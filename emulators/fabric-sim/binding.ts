import type { Binding } from '../../harness/binding/binding.ts';
import { createFabricSim } from './create-fabric-sim.ts';
import { readOptions } from './sim-world/sim-options.ts';
import { SimTestbed } from './sim-world/sim-testbed.ts';

/**
 * The `sim` world: a packet simulator, called directly. One seed is one run: the same record lines, byte for byte.
 * Options: `defect` (a planted defect by name), `trainPackets` (packets simulated as one unit, 1 to 64, default 8; 1 is exact).
 */
const binding: Binding = {
  async reserve(topology, { seed, record, options, signal }) {
    const { trainPackets, defect } = readOptions(options);
    const sim = createFabricSim({ topology, seed, trainPackets, ...(defect !== undefined && { defect }) });
    const name = 'sim';
    record({
      kind: 'testbed',
      name,
      devices: [...topology.switches, ...topology.hosts].map(({ name: node, kind }) => ({
        node,
        device: `simulated ${kind}`,
        driver: 'none',
        software: `fabric-sim, trains of ${trainPackets}`,
      })),
    });
    return new SimTestbed({ name, sim, record, wallMs: () => performance.now(), ...(signal && { signal }) });
  },
};

export default binding;
