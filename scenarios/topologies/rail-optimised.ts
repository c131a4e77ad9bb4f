import type { Distance, FabricSettings, Host, Link, Rate, SwitchNode, Topology } from '#harness';
import { cable, DEFAULT_FABRIC } from '#harness';

export interface RailOptimisedOptions {
  readonly nodes: number;
  /** GPUs of a node, each with a NIC of its own: so many rails. */
  readonly gpusPerNode: number;
  /** Joins the rails; 0 when traffic never changes its rail: then hosts of different rails have no path. */
  readonly spines: number;
  readonly hosts: Rate;
  readonly uplinks: Rate;
  readonly settings?: Partial<FabricSettings>;
}

const RACK: Distance = '20 m';

/**
 * GPU i of every node is on rail leaf i, so what stays on its rail crosses one switch:
 *
 *     spine-1      spine-2
 *       |     \  /    |           one link from each rail to each spine
 *     rail-1       rail-2
 *      |  \ ______ /  |
 *      |  /\       \  |
 *     gpu-1 gpu-2   gpu-1 gpu-2
 *       node-1        node-2
 *
 * A host of the topology is one GPU with its NIC, `node-3-gpu-1`; hosts stand node by node, so `permutation({ shift: gpusPerNode })`
 * stays on the rails and `shift: 1` does not. What GPUs of a node have between them (NVLink) is not in the topology: a ring over all
 * hosts takes the fabric from GPU to GPU.
 *
 * @throws RangeError for fewer than one node or GPU
 * @see NVIDIA DGX SuperPOD reference architecture, "compute fabric: rail-optimized"
 */
export function railOptimised(options: RailOptimisedOptions): Topology<never> {
  const { nodes, gpusPerNode, spines } = options;
  if (nodes < 1 || gpusPerNode < 1) throw new RangeError(`${nodes} nodes of ${gpusPerNode} GPUs: one is needed.`);
  const hosts: Host[] = [];
  const switches: SwitchNode[] = [];
  const links: Link[] = [];
  for (let spine = 1; spine <= spines; spine++)
    switches.push({ kind: 'switch', name: `spine-${spine}`, site: 'a', role: 'spine' });
  for (let rail = 1; rail <= gpusPerNode; rail++) {
    const leaf = `rail-${rail}`;
    switches.push({ kind: 'switch', name: leaf, site: 'a', role: 'leaf' });
    for (let spine = 1; spine <= spines; spine++)
      links.push(
        cable(
          { node: leaf, port: `up${spine}` },
          { node: `spine-${spine}`, port: `down${rail}` },
          options.uplinks,
          RACK,
        ),
      );
  }
  for (let node = 1; node <= nodes; node++) {
    for (let rail = 1; rail <= gpusPerNode; rail++) {
      const name = `node-${node}-gpu-${rail}`;
      hosts.push({ kind: 'host', name, site: 'a' });
      links.push(
        cable({ node: name, port: 'eth0' }, { node: `rail-${rail}`, port: `host${node}` }, options.hosts, RACK),
      );
    }
  }
  return {
    name: 'rail-optimised',
    sites: ['a'],
    hosts,
    switches,
    links,
    spans: {},
    settings: { ...DEFAULT_FABRIC, ...options.settings },
  };
}
