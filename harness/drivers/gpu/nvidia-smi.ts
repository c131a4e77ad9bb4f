import { SaxesParser } from 'saxes';
import { escapeDeviceText } from '../device-text.ts';
import { ParseError } from '../parse-error.ts';

/** Why a GPU's clocks are not at their highest, by bit of `clocks_event_reasons.active` (nvml.h, nvmlClocksEventReasons). */
export const CLOCK_REASONS: readonly { readonly bit: bigint; readonly name: string; readonly throttles: boolean }[] = [
  { bit: 0x1n, name: 'gpu idle', throttles: false },
  { bit: 0x2n, name: 'applications clocks setting', throttles: false },
  { bit: 0x4n, name: 'sw power cap', throttles: true },
  { bit: 0x8n, name: 'hw slowdown', throttles: true },
  { bit: 0x10n, name: 'sync boost', throttles: false },
  { bit: 0x20n, name: 'sw thermal slowdown', throttles: true },
  { bit: 0x40n, name: 'hw thermal slowdown', throttles: true },
  { bit: 0x80n, name: 'hw power brake slowdown', throttles: true },
  { bit: 0x100n, name: 'display clocks setting', throttles: false },
];

/** One GPU as `nvidia-smi -q -x` tells it. Null: `N/A`, not supported, deprecated, or not in this schema. Never zero. */
export interface GpuReading {
  /** PCI bus id. */
  readonly id: string;
  readonly name: string | null;
  readonly uuid: string | null;
  readonly serial: string | null;
  readonly temperatureC: number | null;
  readonly slowdownTemperatureC: number | null;
  readonly memoryTemperatureC: number | null;
  /** Instant draw where the schema has it (v13), else the draw. */
  readonly powerW: number | null;
  readonly powerLimitW: number | null;
  readonly performanceState: string | null;
  readonly smClockHz: number | null;
  readonly memoryClockHz: number | null;
  readonly maxSmClockHz: number | null;
  /** Active reasons in the driver's words; null when the GPU does not tell. */
  readonly clockReasons: readonly string[] | null;
  readonly memoryTotalBytes: number | null;
  readonly memoryUsedBytes: number | null;
  /** Fractions of 1. */
  readonly gpuUtilization: number | null;
  readonly memoryUtilization: number | null;
  readonly pcieGeneration: number | null;
  readonly pcieMaxGeneration: number | null;
  readonly pcieWidth: number | null;
  readonly pcieMaxWidth: number | null;
  readonly pcieReplays: number | null;
  readonly persistence: boolean | null;
  /** Memory errors that ECC could not correct since the driver was loaded, of all memories that are told. */
  readonly uncorrectedErrors: number | null;
}

export interface NvidiaSmi {
  /** `nvsmi_device_v11.dtd` gives 11; null when the document names none. */
  readonly schema: number | null;
  readonly driver: string;
  readonly cuda: string | null;
  readonly attached: number | null;
  readonly gpus: readonly GpuReading[];
}

/** Deeper than any nvidia-smi document (6). */
const DEEPEST = 32;
const MOST_ELEMENTS = 2_000_000;

/** Leaves of one GPU: path below `<gpu>` to text. */
type Leaves = Map<string, string>;

/**
 * `nvidia-smi -q -x`, schemas v11 to v13 (`clocks_throttle_reasons` then, `clocks_event_reasons` now; `power_readings`, now
 * `gpu_power_readings`). Entities of a DTD are refused, so that no small document becomes a large one.
 *
 * @throws ParseError when it is not well-formed, cut off, or another document
 */
export function parseNvidiaSmiXml(text: string): NvidiaSmi {
  const expected = 'nvidia-smi -q -x';
  const parser = new SaxesParser();
  const path: string[] = [];
  const top: Leaves = new Map();
  const gpus: { readonly id: string; readonly leaves: Leaves }[] = [];
  let schema: number | null = null;
  let content = '';
  let elements = 0;
  let closed = false;
  const refuse = (why: string): never => {
    throw new ParseError(`${expected} (XML): ${why}`, text);
  };
  parser.on('error', error => refuse(error.message));
  parser.on('doctype', doctype => {
    if (doctype.includes('<!') || doctype.includes('[')) refuse('a document type without declarations of its own');
    const version = /nvsmi_device_v(\d{1,4})\.dtd/.exec(doctype)?.[1];
    schema = version === undefined ? null : Number(version);
  });
  parser.on('opentag', tag => {
    if (++elements > MOST_ELEMENTS || path.length >= DEEPEST) refuse('fewer and flatter elements');
    if (path.length === 0 && tag.name !== 'nvidia_smi_log') refuse('a root nvidia_smi_log');
    path.push(tag.name);
    content = '';
    if (path.length === 2 && tag.name === 'gpu')
      gpus.push({ id: escapeDeviceText(String(tag.attributes['id'] ?? '')), leaves: new Map() });
  });
  parser.on('text', part => {
    content += part;
  });
  parser.on('closetag', () => {
    const value = escapeDeviceText(content.trim());
    content = '';
    if (path.length === 1) closed = true;
    if (value !== '') {
      const inGpu = path[1] === 'gpu' && path.length > 2;
      const leaves = inGpu ? gpus.at(-1)?.leaves : top;
      const name = path.slice(inGpu ? 2 : 1).join('/');
      // The first one counts: lists (processes, supported clocks) repeat their names.
      if (leaves && !leaves.has(name)) leaves.set(name, value);
    }
    path.pop();
  });
  parser.write(text).close();
  if (!closed) refuse('a whole document');
  const driver = top.get('driver_version') ?? refuse('a driver_version');
  return {
    schema,
    driver,
    cuda: word(top.get('cuda_version')),
    attached: quantity(top.get('attached_gpus'), ''),
    gpus: gpus.map(({ id, leaves }) => readingOf(id, leaves)),
  };
}

function word(value: string | undefined): string | null {
  return value === undefined || isAbsent(value) ? null : value;
}

const isAbsent = (value: string): boolean =>
  /^\[?(N\/A|Not Supported|Unknown Error|Insufficient Permissions|GPU requires reset|Requested functionality has been deprecated)\]?$/i.test(
    value,
  );

/** `27 C`, `142.33 W`, `1950 MHz`, `16x`: the number when the unit is as asked. @throws ParseError when it is neither number nor absent */
function quantity(value: string | undefined, unit: string): number | null {
  if (value === undefined || isAbsent(value)) return null;
  const match = /^(-?\d{1,15}(?:\.\d{1,6})?) ?([A-Za-z%/]*)$/.exec(value);
  if (!match || match[2] !== unit) throw new ParseError(`a number${unit === '' ? '' : ` in ${unit}`}`, value);
  return Number(match[1]);
}

const scaled = (value: number | null, factor: number): number | null => (value === null ? null : value * factor);

function readingOf(id: string, leaves: Leaves): GpuReading {
  const get = (...names: readonly string[]): string | undefined => {
    const found = names.map(name => leaves.get(name)).filter(value => value !== undefined);
    return found.find(value => !isAbsent(value)) ?? found[0];
  };
  const reasons = [...leaves].filter(([name]) => /^clocks_(event|throttle)_reasons\//.test(name));
  return {
    id,
    name: word(get('product_name')),
    uuid: word(get('uuid')),
    serial: word(get('serial')),
    temperatureC: quantity(get('temperature/gpu_temp'), 'C'),
    slowdownTemperatureC: quantity(get('temperature/gpu_temp_slow_threshold'), 'C'),
    memoryTemperatureC: quantity(get('temperature/memory_temp'), 'C'),
    powerW: quantity(
      get('gpu_power_readings/instant_power_draw', 'gpu_power_readings/power_draw', 'power_readings/power_draw'),
      'W',
    ),
    powerLimitW: quantity(
      get(
        'gpu_power_readings/current_power_limit',
        'power_readings/enforced_power_limit',
        'power_readings/power_limit',
      ),
      'W',
    ),
    performanceState: word(get('performance_state')),
    smClockHz: scaled(quantity(get('clocks/sm_clock'), 'MHz'), 1e6),
    memoryClockHz: scaled(quantity(get('clocks/mem_clock'), 'MHz'), 1e6),
    maxSmClockHz: scaled(quantity(get('max_clocks/sm_clock'), 'MHz'), 1e6),
    clockReasons: reasons.every(([, value]) => isAbsent(value))
      ? null
      : reasons.flatMap(([name, value]) =>
          value === 'Active' ? [name.replace(/^.*\/clocks_(event|throttle)_reason_/, '').replaceAll('_', ' ')] : [],
        ),
    memoryTotalBytes: scaled(quantity(get('fb_memory_usage/total'), 'MiB'), 2 ** 20),
    memoryUsedBytes: scaled(quantity(get('fb_memory_usage/used'), 'MiB'), 2 ** 20),
    gpuUtilization: scaled(quantity(get('utilization/gpu_util'), '%'), 0.01),
    memoryUtilization: scaled(quantity(get('utilization/memory_util'), '%'), 0.01),
    pcieGeneration: quantity(get('pci/pci_gpu_link_info/pcie_gen/current_link_gen'), ''),
    pcieMaxGeneration: quantity(get('pci/pci_gpu_link_info/pcie_gen/max_link_gen'), ''),
    pcieWidth: quantity(get('pci/pci_gpu_link_info/link_widths/current_link_width'), 'x'),
    pcieMaxWidth: quantity(get('pci/pci_gpu_link_info/link_widths/max_link_width'), 'x'),
    pcieReplays: quantity(get('pci/replay_counter'), ''),
    persistence: { Enabled: true, Disabled: false }[get('persistence_mode') ?? ''] ?? null,
    uncorrectedErrors: uncorrected(leaves),
  };
}

/** `sram_uncorrectable` and the like since schema v11, `double_bit/total` before. */
function uncorrected(leaves: Leaves): number | null {
  const counts = [...leaves].flatMap(([name, value]) =>
    /^ecc_errors\/volatile\/(\w*uncorrectable\w*|double_bit\/total)$/.test(name) ? [quantity(value, '')] : [],
  );
  return counts.reduce((sum, count) => (count === null ? sum : (sum ?? 0) + count), null);
}

/** One line of the CSV query. */
export interface GpuState {
  readonly index: number;
  readonly uuid: string;
  readonly name: string;
  /** Active clock reasons; null when the GPU does not tell. */
  readonly reasons: readonly { readonly name: string; readonly throttles: boolean }[] | null;
  readonly powerW: number | null;
  readonly temperatureC: number | null;
  readonly smClockHz: number | null;
}

/** What `parseGpuCsv` reads. */
export const GPU_CSV_COMMAND =
  'nvidia-smi --query-gpu=index,uuid,name,clocks_event_reasons.active,power.draw,temperature.gpu,clocks.current.sm --format=csv,noheader,nounits';

/** The answer to `GPU_CSV_COMMAND`. @throws ParseError */
export function parseGpuCsv(text: string): readonly GpuState[] {
  const expected = 'nvidia-smi --query-gpu';
  const lines = text.split('\n').filter(line => line.trim() !== '');
  if (lines.length === 0) throw new ParseError(`${expected}: a line per GPU`, text);
  return lines.map(line => {
    const [index = '', uuid = '', name = '', mask = '', power, temperature, clock, ...rest] = line
      .split(', ')
      .map(cell => cell.trim());
    if (clock === undefined || rest.length > 0 || !/^\d{1,4}$/.test(index))
      throw new ParseError(`${expected}: seven values`, line);
    const bits = /^0x[0-9a-fA-F]{1,16}$/.test(mask) ? BigInt(mask) : isAbsent(mask) ? null : undefined;
    if (bits === undefined) throw new ParseError(`${expected}: a mask such as 0x0000000000000001`, mask);
    return {
      index: Number(index),
      uuid,
      name,
      reasons:
        bits === null
          ? null
          : CLOCK_REASONS.filter(({ bit }) => (bits & bit) !== 0n).map(({ name: reason, throttles }) => ({
              name: reason,
              throttles,
            })),
      powerW: quantity(power, ''),
      temperatureC: quantity(temperature, ''),
      smClockHz: scaled(quantity(clock, ''), 1e6),
    };
  });
}
