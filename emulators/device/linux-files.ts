/** A file of a box. Some are written by programs and are made when they are read. */
export interface FileNode {
  content: string | (() => string);
  /** Who has flock(2) on it. */
  holder: Description | undefined;
  readonly waiters: Set<() => void>;
}

interface Folder {
  readonly entries: Map<string, Folder | FileNode>;
}

/** An open file description: what file descriptors of several processes may share, and what flock(2) belongs to. */
export interface Description {
  /** The path it was opened by; undefined for a pipe. */
  readonly path: string | undefined;
  /** What is left to read. */
  read(): string;
  /** The next line without its newline, and whether it had one; undefined at the end. */
  readLine(): { readonly text: string; readonly whole: boolean } | undefined;
  /** @returns false when the device is full */
  write(text: string): boolean;
  /** One more descriptor refers to it. */
  share(): Description;
  /** One less; the last one gives its lock back. */
  close(): void;
  /** Takes the lock; false while another description has it. True at once for what is no file. */
  lock(): boolean;
  unlock(): void;
  /** Told when the lock may be free. @returns what stops that */
  onUnlock(listener: () => void): () => void;
}

export type OpenMode = 'read' | 'write' | 'append';
export type OpenFailure = 'missing' | 'no-folder' | 'is-folder' | 'read-only';

/** A file or folder that is made up when asked for, as those of /proc and /sys. */
export type Virtual = (path: string) => (() => string) | 'folder' | undefined;

export interface LinuxFiles {
  kind(path: string): 'file' | 'folder' | undefined;
  read(path: string): string | undefined;
  open(path: string, mode: OpenMode): Description | OpenFailure;
  /** A file whose text is made when it is read, or given. @returns false when its folder does not exist */
  write(path: string, content: string | (() => string)): boolean;
  /** Names in a folder, sorted by byte. */
  list(path: string): readonly string[] | undefined;
  /** With `parents`, those too. @returns false when it exists or its parent does not */
  makeFolder(path: string, parents: boolean): boolean;
  /** A file, or a folder with all below it. */
  remove(path: string): boolean;
  rename(from: string, to: string): boolean;
  /** Every file below a folder, by its path from there. */
  below(path: string): ReadonlyMap<string, string>;
}

/** Largest file, characters: a loop that writes for ever must not fill this process. */
const LARGEST = 16 * 1024 * 1024;
const MOST_PARTS = 64;

/** Absolute, without `.`, `..` and double slashes. */
export function absolute(path: string, from: string): string {
  const parts: string[] = [];
  for (const part of (path.startsWith('/') ? path : `${from}/${path}`).split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}

const isFolder = (entry: Folder | FileNode | undefined): entry is Folder => entry !== undefined && 'entries' in entry;
const textOf = (node: FileNode): string => (typeof node.content === 'function' ? node.content() : node.content);
export const fileNode = (content: string | (() => string) = ''): FileNode => ({
  content,
  holder: undefined,
  waiters: new Set(),
});

/** Opens a node: also for pipes, whose node has no name. */
export function describe(node: FileNode, mode: OpenMode, path?: string): Description {
  let references = 1;
  let offset = 0;
  const description: Description = {
    path,
    read() {
      const rest = textOf(node).slice(offset);
      offset += rest.length;
      return rest;
    },
    readLine() {
      const text = textOf(node);
      if (offset >= text.length) return undefined;
      const end = text.indexOf('\n', offset);
      const line = text.slice(offset, end < 0 ? undefined : end);
      offset = end < 0 ? text.length : end + 1;
      return { text: line, whole: end >= 0 };
    },
    write(text) {
      const before = textOf(node);
      if (before.length + text.length > LARGEST) return false;
      const at = mode === 'append' ? before.length : offset;
      node.content =
        at === before.length
          ? before + text
          : before.slice(0, at).padEnd(at, '\0') + text + before.slice(at + text.length);
      offset = at + text.length;
      return true;
    },
    share() {
      references++;
      return description;
    },
    close() {
      if (--references === 0) description.unlock();
    },
    lock() {
      node.holder ??= description;
      return node.holder === description;
    },
    unlock() {
      if (node.holder !== description) return;
      node.holder = undefined;
      // In a turn of its own: whoever waits must not run in the middle of what the one who lets go still does.
      for (const waiter of node.waiters) queueMicrotask(waiter);
    },
    onUnlock(listener) {
      node.waiters.add(listener);
      return () => void node.waiters.delete(listener);
    },
  };
  return description;
}

/** Takes everything and gives nothing, as /dev/null. */
export function nullDevice(): Description {
  const node = fileNode();
  return { ...describe(node, 'write', '/dev/null'), write: () => true, read: () => '' };
}

/** A text that is there to be read, as the output of a pipe's left side. */
export const textSource = (text: string): Description => describe(fileNode(text), 'read');

/** Folders and files of one box, in memory. */
export function linuxFiles(virtual: Virtual): LinuxFiles {
  const root: Folder = { entries: new Map() };
  const find = (path: string): Folder | FileNode | undefined => {
    let at: Folder | FileNode | undefined = root;
    for (const part of path.split('/')) {
      if (part === '') continue;
      if (!isFolder(at)) return undefined;
      at = at.entries.get(part);
    }
    return at;
  };
  const split = (path: string): { readonly parent: Folder | undefined; readonly name: string } => {
    const cut = path.lastIndexOf('/');
    const parent = find(path.slice(0, cut));
    return { parent: isFolder(parent) ? parent : undefined, name: path.slice(cut + 1) };
  };
  const files: LinuxFiles = {
    kind(path) {
      const entry = find(path);
      if (entry !== undefined) return isFolder(entry) ? 'folder' : 'file';
      const made = virtual(path);
      return made === undefined ? undefined : made === 'folder' ? 'folder' : 'file';
    },
    read(path) {
      const entry = find(path);
      if (isFolder(entry)) return undefined;
      if (entry) return textOf(entry);
      const made = virtual(path);
      return typeof made === 'function' ? made() : undefined;
    },
    open(path, mode) {
      if (path === '/dev/null') return nullDevice();
      const entry = find(path);
      if (isFolder(entry)) return mode === 'read' ? describe(fileNode(), mode, path) : 'is-folder';
      if (mode === 'read') {
        if (entry) return describe(entry, mode, path);
        const made = virtual(path);
        return typeof made === 'function' ? describe(fileNode(made()), mode, path) : 'missing';
      }
      if (virtual(path) !== undefined) return 'read-only';
      const { parent, name } = split(path);
      if (!parent) return 'no-folder';
      const node = entry ?? fileNode();
      parent.entries.set(name, node);
      if (mode === 'write') node.content = '';
      return describe(node, mode, path);
    },
    write(path, content) {
      const { parent, name } = split(path);
      const entry = parent?.entries.get(name);
      if (!parent || isFolder(entry)) return false;
      if (entry) entry.content = content;
      else parent.entries.set(name, fileNode(content));
      return true;
    },
    list(path) {
      const entry = find(path);
      return isFolder(entry) ? [...entry.entries.keys()].toSorted() : undefined;
    },
    makeFolder(path, parents) {
      const parts = path.split('/').filter(part => part !== '');
      if (parts.length > MOST_PARTS) return false;
      let at: Folder = root;
      for (const [i, part] of parts.entries()) {
        const last = i === parts.length - 1;
        const next = at.entries.get(part);
        if (isFolder(next) && (!last || parents)) at = next;
        else if (next !== undefined || (!last && !parents)) return false;
        else {
          const made: Folder = { entries: new Map() };
          at.entries.set(part, made);
          at = made;
        }
      }
      return parts.length > 0 || parents;
    },
    remove(path) {
      const { parent, name } = split(path);
      return name !== '' && parent !== undefined && parent.entries.delete(name);
    },
    rename(from, to) {
      const source = split(from);
      const entry = source.parent?.entries.get(source.name);
      const target = split(to);
      if (!source.parent || entry === undefined || !target.parent || `${to}/`.startsWith(`${from}/`)) return false;
      source.parent.entries.delete(source.name);
      target.parent.entries.set(target.name, entry);
      return true;
    },
    below(path) {
      const found = new Map<string, string>();
      const walk = (folder: Folder, prefix: string): void => {
        for (const [name, entry] of folder.entries) {
          if (isFolder(entry)) walk(entry, `${prefix}${name}/`);
          else found.set(prefix + name, textOf(entry));
        }
      };
      const entry = find(path);
      if (isFolder(entry)) walk(entry, '');
      return found;
    },
  };
  return files;
}
