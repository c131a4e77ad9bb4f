import type { Binding } from '../../harness/binding/binding.ts';
import { flowShareIsMeasured } from '../../harness/model/flow-level.ts';
import { granularityText } from '../../harness/model/granularity.ts';
import { createFabricSim } from './create-fabric-sim.ts';
import { followedPorts, readOptions } from './sim-world/sim-options.ts';
import { SimTestbed } from './sim-world/sim-testbed.ts';

/**
 * The `sim` world: a packet simulator, called directly. One seed is one run: the same record lines, byte for byte.
 * Options: `defect` (a planted defect by name), `trainPackets` (packets simulated as one unit, 1 to 64, default 8; 1 is exact), `granularity`
 * (`packet`, `train:N` or `flow`, for all phases or by phase; goes before `trainPackets`), `series` (an interval such as `100us`, or with ports
 * `100us:SWITCH/PORT,SWITCH/PORT`: series of flows, queues and ports into `series.ndjson` in the run folder).
 */
const binding: Binding = {
  async reserve(topology, { seed, record, options, signal }) {
    const { trainPackets, defect, granularity, series } = readOptions(options);
    const followed = series && { ...series, ports: followedPorts(topology, series.ports) };
    const first = typeof granularity === 'object' ? Object.values(granularity)[0] : granularity;
    const sim = createFabricSim({
      topology,
      seed,
      trainPackets,
      ...(first !== undefined && { granularity: first }),
      ...(defect !== undefined && { defect }),
    });
    const flows = (typeof granularity === 'object' ? Object.values(granularity) : [granularity]).includes('flow');
    const guessed =
      flows && !flowShareIsMeasured(topology.settings)
        ? '; shares of full links taken whole: not measured for this congestion control'
        : '';
    const name = 'sim';
    record({
      kind: 'testbed',
      name,
      devices: [...topology.switches, ...topology.hosts].map(({ name: node, kind }) => ({
        node,
        device: `simulated ${kind}`,
        driver: 'none',
        software: `fabric-sim, ${first === undefined ? `trains of ${trainPackets}` : granularityText(typeof granularity === 'object' ? granularity : { all: first })}${guessed}`,
      })),
    });
    return new SimTestbed({
      name,
      sim,
      record,
      wallMs: () => performance.now(),
      ...(typeof granularity === 'object' && { granularity }),
      ...(followed && { series: followed }),
      ...(signal && { signal }),
    });
  },
};

export default binding;
