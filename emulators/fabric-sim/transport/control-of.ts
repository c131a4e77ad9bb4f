import type { FabricSettings } from '../../../harness/model/topology.ts';
import type { ConnectionsOptions } from './connection.ts';
import { dcqcn, DcqcnControl, dcqcnParameters } from './dcqcn.ts';
import { lawNamed, lawParameters } from './laws.ts';

/**
 * The law that a fabric's settings ask for: `transport.control` by name, else DCQCN as `dcqcn` says, else none (line rate).
 *
 * @throws RangeError for a law or parameter that does not exist
 */
export function controlOf(settings: FabricSettings): Pick<ConnectionsOptions, 'control' | 'cnpIntervalPs'> {
  const { transport } = settings;
  if (transport !== undefined) {
    if (transport.control === 'none') return { control: undefined, cnpIntervalPs: 0 };
    const kind = lawNamed(transport.control);
    const parameters = lawParameters(kind, transport.parameters);
    return { control: { kind, parameters }, cnpIntervalPs: parameters['cnpIntervalPs'] ?? 0 };
  }
  if (settings.dcqcn === null) return { control: undefined, cnpIntervalPs: 0 };
  const parameters = dcqcnParameters(settings.dcqcn);
  return {
    control: {
      kind: { ...dcqcn, parameters: {}, create: path => new DcqcnControl(parameters, path.lineBps) },
      parameters: {},
    },
    cnpIntervalPs: parameters.cnpIntervalPs,
  };
}
