import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs';

/**
 * The calls of a file system that evidence rests on. Every one of them can fail; tests make each fail in turn. Synchronous: a line is
 * handed to the operating system before the next step is taken.
 */
export interface Disk {
  /** @returns a descriptor */
  open(file: string, flags: string, mode?: number): number;
  /** May take a part only. At the end of what was written before, or at `position`. @returns bytes taken */
  write(descriptor: number, bytes: Uint8Array, position?: number): number;
  fsync(descriptor: number): void;
  close(descriptor: number): void;
  rename(from: string, to: string): void;
  mkdir(folder: string, options?: { readonly recursive?: boolean; readonly mode?: number }): void;
  unlink(file: string): void;
  read(file: string): Buffer;
  list(folder: string): readonly string[];
  exists(file: string): boolean;
}

export const realDisk: Disk = {
  open: (file, flags, mode) => openSync(file, flags, mode),
  write: (descriptor, bytes, position) => writeSync(descriptor, bytes, 0, bytes.byteLength, position ?? null),
  fsync: fsyncSync,
  close: closeSync,
  rename: renameSync,
  mkdir: (folder, options) => void mkdirSync(folder, options),
  unlink: unlinkSync,
  read: file => readFileSync(file),
  list: folder => readdirSync(folder),
  exists: existsSync,
};

/** Writes all of it; a write may take only a part of what it is given. */
export function writeFully(disk: Pick<Disk, 'write'>, descriptor: number, bytes: Uint8Array, position?: number): void {
  for (let offset = 0; offset < bytes.byteLength; ) {
    const taken = disk.write(
      descriptor,
      bytes.subarray(offset),
      position === undefined ? undefined : position + offset,
    );
    if (taken <= 0) throw new Error(`the disk took ${offset} of ${bytes.byteLength} bytes and no more`);
    offset += taken;
  }
}

/** Forces the names in a folder to the disk: a file that was made or renamed there is found after a power cut. */
export function syncFolder(disk: Pick<Disk, 'open' | 'fsync' | 'close'>, folder: string): void {
  const descriptor = disk.open(folder, 'r');
  try {
    disk.fsync(descriptor);
  } finally {
    disk.close(descriptor);
  }
}
