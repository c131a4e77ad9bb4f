import type { RoundLine } from '../../harness/model/record.ts';

export type NcclTool =
  | 'all_reduce_perf'
  | 'reduce_scatter_perf'
  | 'all_gather_perf'
  | 'broadcast_perf'
  | 'alltoall_perf'
  | 'gather_perf'
  | 'sendrecv_perf';

interface ToolShape {
  readonly redop: string;
  readonly root: number;
  /** algbw counts this many bytes over the time. */
  readonly busFactor: (ranks: number) => number;
  /** The tool does not check its in-place result (src/alltoall.cu, src/sendrecv.cu: reportErrors = in_place ? 0 : 1). */
  readonly checksInPlace: boolean;
}

/** doc/PERFORMANCE.md and the getBw functions of nccl-tests 2.19. */
export const NCCL_TOOLS: Readonly<Record<NcclTool, ToolShape>> = {
  all_reduce_perf: { redop: 'sum', root: -1, busFactor: n => (2 * (n - 1)) / n, checksInPlace: true },
  reduce_scatter_perf: { redop: 'sum', root: -1, busFactor: n => (n - 1) / n, checksInPlace: true },
  all_gather_perf: { redop: 'none', root: -1, busFactor: n => (n - 1) / n, checksInPlace: true },
  broadcast_perf: { redop: 'none', root: 0, busFactor: () => 1, checksInPlace: true },
  alltoall_perf: { redop: 'none', root: -1, busFactor: n => (n - 1) / n, checksInPlace: false },
  gather_perf: { redop: 'none', root: 0, busFactor: n => (n - 1) / n, checksInPlace: true },
  sendrecv_perf: { redop: 'sum', root: -1, busFactor: () => 1, checksInPlace: false },
};

/** `getFloatStr` of src/util.cu: as many decimals, up to two, as fit the width. */
export function floatText(value: number, width: number): string {
  for (const digits of [2, 1, 0]) {
    const text = value.toFixed(digits);
    if (text.length <= width) return text.padStart(width);
  }
  return value
    .toExponential(width >= 7 ? 1 : 0)
    .replace(/e([+-])(\d)$/, 'e$10$2')
    .padStart(width);
}

export interface NcclJobText {
  readonly tool: NcclTool;
  /** The `size` column, B. */
  readonly bytes: number;
  /** The `count` column: elements of one rank's part. */
  readonly elements: number;
  readonly ranks: readonly { readonly host: string; readonly pid: number }[];
  readonly gpu: string;
  readonly checked: boolean;
}

/** What nccl-tests 2.19 prints before its first row (src/util.cu, writeDeviceReport and writeResultHeader). */
export function ncclHeader({ tool, bytes, ranks, gpu, checked }: NcclJobText): string {
  const p = (text: string, width: number): string => text.padStart(width);
  const columns = (cells: readonly string[]): string => {
    const widths = [10, 12, 8, 6, 6, 7, 6, 6, 6, 7, 6, 6, 6];
    return `# ${cells.map((cell, i) => p(cell, widths[i] as number)).join('  ')} `;
  };
  return [
    '# nccl-tests version 2.19.6 nccl-headers=22907 nccl-library=22907',
    `# Collective test starting: ${tool}`,
    `# nThread 1 nGpus 1 minBytes ${bytes} maxBytes ${bytes} step: 1048576(bytes) warmup iters: 0 iters: 1 agg iters: 1 validation: ${checked ? 1 : 0} graph: 0 unalign: 0`,
    '#',
    '# Using devices',
    ...ranks.map(
      ({ host, pid }, rank) =>
        `#  Rank ${p(String(rank), 2)} Group  0 Pid ${p(String(pid), 6)} on ${p(host, 10)} device  0 [0000:01:00] ${gpu}`,
    ),
    '#',
    `# ${p('', 10)}  ${p('', 12)}  ${p('', 8)}  ${p('', 6)}  ${p('', 6)}           out-of-place                       in-place          `,
    columns([
      'size',
      'count',
      'type',
      'redop',
      'root',
      'time',
      'algbw',
      'busbw',
      '#wrong',
      'time',
      'algbw',
      'busbw',
      '#wrong',
    ]),
    columns(['(B)', '(elements)', '', '', '', '(us)', '(GB/s)', '(GB/s)', '', '(us)', '(GB/s)', '(GB/s)', '']),
    '',
  ].join('\n');
}

/** One row: two consecutive rounds, the first out-of-place, the second in-place (src/common.cu, TimeTest). */
export function ncclRow(job: NcclJobText, pair: readonly [RoundLine, RoundLine]): string {
  const { redop, root, busFactor, checksInPlace } = NCCL_TOOLS[job.tool];
  const body = ({ beginNs, endNs, wrong }: RoundLine, checks: boolean): string => {
    const seconds = (endNs - beginNs) / 1e9;
    const algorithm = job.bytes / 1e9 / seconds;
    const wrongText = checks && job.checked ? String(wrong ?? 0).padStart(6) : '   N/A';
    return `  ${floatText(seconds * 1e6, 7)}  ${floatText(algorithm, 6)}  ${floatText(algorithm * busFactor(job.ranks.length), 6)}  ${wrongText}`;
  };
  const front = `${String(job.bytes).padStart(12)}  ${String(job.elements).padStart(12)}  ${'float'.padStart(8)}  ${redop.padStart(6)}  ${String(root).padStart(6)}`;
  return `${front}${body(pair[0], true)}${body(pair[1], checksInPlace)}\n`;
}
