/** A detached process of an emulated Linux box. */
export interface LinuxProcess {
  readonly pid: number;
  running(): boolean;
  signal(): void;
}

/** Process ids and files of one box. Files are text; some are written by processes and grow when they are read. */
export interface LinuxBox {
  start(make: (pid: number) => Omit<LinuxProcess, 'pid'>): LinuxProcess;
  process(pid: number): LinuxProcess | undefined;
  /** A file whose text is made when it is read. */
  write(file: string, text: string | (() => string)): void;
  read(file: string): string | undefined;
  remove(file: string): boolean;
}

export function linuxBox(): LinuxBox {
  const processes = new Map<number, LinuxProcess>();
  const files = new Map<string, string | (() => string)>();
  let nextPid = 1000;
  return {
    start(make) {
      const pid = ++nextPid;
      const process = { pid, ...make(pid) };
      processes.set(pid, process);
      return process;
    },
    process: pid => processes.get(pid),
    write: (file, text) => void files.set(file, text),
    read(file) {
      const text = files.get(file);
      return typeof text === 'function' ? text() : text;
    },
    remove: file => files.delete(file),
  };
}
