import { sanitize, wallTime } from '../../reports/index.ts';
import type { SweepCell } from '../model/sweep.ts';

export interface SweepProgressOptions {
  /** Of the whole matrix, and those of them that are not played again. */
  readonly cells: number;
  readonly kept: number;
  /** Cost of what is to be played. */
  readonly packetHops: number;
  readonly workers: number;
  /** Wall clock, ms. What is left is foreseen from the packet-hops that it took so far; it is shown and never recorded. */
  readonly nowMs: () => number;
  /** One line that is written over; otherwise a line for each cell. */
  readonly terminal: boolean;
  readonly width: number;
  readonly write: (text: string) => void;
}

export interface SweepProgress {
  begin(folder: string): void;
  cell(line: SweepCell): void;
  note(text: string): void;
  end(): void;
}

const rough = (hops: number): string => Number(hops.toPrecision(3)).toLocaleString('en');

/** How a sweep shows on a terminal and in a log. */
export function sweepProgress(options: SweepProgressOptions): SweepProgress {
  const { cells, kept, packetHops, workers, nowMs, terminal, width, write } = options;
  const beganMs = nowMs();
  let played = 0;
  let paidHops = 0;
  let open = false;

  const left = (): string => {
    if (played === 0 || paidHops === 0) return '';
    const restHops = packetHops - paidHops;
    return restHops <= 0 ? '' : `, about ${wallTime((((nowMs() - beganMs) / paidHops) * restHops) / 1e3)} left`;
  };
  const line = (text: string): void => {
    if (open) write('\r\u001b[2K');
    open = false;
    write(`${text}\n`);
  };
  const counted = (): string => `${kept + played}/${cells}`;

  return {
    begin(folder) {
      const keeps = kept > 0 ? `, ${kept} of them kept` : '';
      line(
        `${cells} cells${keeps}; ${rough(packetHops)} packet-hops to play on ${workers} ${workers === 1 ? 'thread' : 'threads'}; in ${sanitize(folder)}`,
      );
    },
    cell({ parameters, seed, outcome, reason, packetHops: hops }) {
      played += 1;
      paidHops += hops;
      const what = [...Object.entries(parameters).map(([path, value]) => `${path}=${value}`), `seed ${seed}`].join(
        ' · ',
      );
      const words = sanitize(`${outcome.toUpperCase().padEnd(12)} ${what}`);
      if (!terminal) {
        const why = outcome === 'pass' ? '' : `: ${sanitize(reason)}`;
        line(`[${counted()}] ${words}${why}`);
        return;
      }
      const text = `[${counted()}${left()}] ${words}`;
      write(`\r\u001b[2K${text.length >= width ? `${text.slice(0, Math.max(1, width - 2))}…` : text}`);
      open = true;
    },
    note(text) {
      line(` ${text}`);
    },
    end() {
      if (open) write('\n');
      open = false;
    },
  };
}
