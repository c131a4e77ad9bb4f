export interface TableStyle {
  /** How text cells stand in their column; numbers always stand right. */
  readonly text: 'left' | 'right';
}

type Cell = string | number;

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/**
 * A table in the look of Python's tabulate, format `simple`, as sonic-utilities prints it: columns two spaces apart with a
 * minimum padding of two on headers, a ruler of hyphens. A column stands right when the style says so or all its cells
 * are numbers.
 *
 * @see https://github.com/astanin/python-tabulate (`_table_formats["simple"]`, MIN_PADDING = 2)
 */
export function tabulate(headers: readonly string[], rows: readonly (readonly Cell[])[], { text }: TableStyle): string {
  const cells = rows.map(row => headers.map((_, column) => String(row[column] ?? '')));
  const widths = headers.map((header, column) =>
    Math.max(header.length + (header === '' ? 0 : 2), ...cells.map(row => (row[column] as string).length)),
  );
  const right = headers.map(
    (_, column) => text === 'right' || (cells.length > 0 && cells.every(row => NUMBER.test(row[column] as string))),
  );
  const pad = (cell: string, column: number): string => {
    const width = widths[column] as number;
    return right[column] ? cell.padStart(width) : cell.padEnd(width);
  };
  const line = (row: readonly string[]): string => row.map(pad).join('  ').trimEnd();
  return `${[line(headers), widths.map(width => '-'.repeat(width)).join('  '), ...cells.map(line)].join('\n')}\n`;
}
