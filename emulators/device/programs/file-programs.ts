import { absolute, type LinuxFiles } from '../linux-files.ts';
import { fail, type Program, type ShellResult, succeed } from '../small-shell.ts';
import { MISSING, programOptions, textOf } from './program-options.ts';

/** mkdir, rm, mv, cp, ls and their like. */
export function filePrograms(files: LinuxFiles): Readonly<Record<string, Program>> {
  /** Tries each; goes on after one that failed, as coreutils does. */
  const each = (words: readonly string[], act: (word: string) => string | undefined): ShellResult => {
    const stderr = words.map(act).flatMap(wrong => (wrong === undefined ? [] : [`${wrong}\n`]));
    return { stdout: '', stderr: stderr.join(''), code: stderr.length > 0 ? 1 : 0 };
  };
  const into = (target: string, source: string): string =>
    files.kind(target) === 'folder' ? absolute(source.slice(source.lastIndexOf('/') + 1), target) : target;
  const moved =
    (name: string, act: (from: string, to: string) => boolean): Program =>
    ({ argv, folder }) => {
      const { words } = programOptions(argv, '');
      const [target, ...sources] = words.toReversed();
      if (target === undefined || sources.length === 0) return fail(1, `${name}: missing file operand`);
      const path = absolute(target, folder);
      if (sources.length > 1 && files.kind(path) !== 'folder')
        return fail(1, `${name}: target '${target}': Not a directory`);
      return each(sources.toReversed(), word => {
        const from = absolute(word, folder);
        if (files.kind(from) === undefined) return `${name}: cannot stat '${word}': ${MISSING}`;
        if (name === 'cp' && files.kind(from) === 'folder') return `cp: -r not specified; omitting directory '${word}'`;
        const wrong = name === 'cp' ? `cannot create regular file '${target}'` : `cannot move '${word}' to '${target}'`;
        return act(from, into(path, from)) ? undefined : `${name}: ${wrong}: ${MISSING}`;
      });
    };
  return {
    mkdir({ argv, folder }) {
      const { flags, words } = programOptions(argv, 'm');
      return each(words, word => {
        const path = absolute(word, folder);
        if (files.makeFolder(path, flags.has('p'))) return undefined;
        const why = files.kind(path) === undefined ? MISSING : 'File exists';
        return `mkdir: cannot create directory ‘${word}’: ${why}`;
      });
    },
    rmdir: ({ argv, folder }) =>
      each(programOptions(argv, '').words, word => {
        const path = absolute(word, folder);
        const names = files.list(path);
        if (names?.length === 0 && files.remove(path)) return undefined;
        return `rmdir: failed to remove '${word}': ${names ? 'Directory not empty' : files.kind(path) === 'file' ? 'Not a directory' : MISSING}`;
      }),
    rm({ argv, folder }) {
      const { flags, words } = programOptions(argv, '');
      const [force, recursive] = [flags.has('f'), flags.has('r') || flags.has('R')];
      return each(words, word => {
        const path = absolute(word, folder);
        if (files.kind(path) === 'folder' && !recursive) return `rm: cannot remove '${word}': Is a directory`;
        return files.remove(path) || force ? undefined : `rm: cannot remove '${word}': ${MISSING}`;
      });
    },
    mv: moved('mv', (from, to) => files.rename(from, to)),
    cp: moved('cp', (from, to) => files.write(to, files.read(from) ?? '')),
    touch: ({ argv, folder }) =>
      each(programOptions(argv, 'dt').words, word => {
        const opened = files.open(absolute(word, folder), 'append');
        if (typeof opened === 'string')
          return opened === 'is-folder' ? undefined : `touch: cannot touch '${word}': ${MISSING}`;
        opened.close();
        return undefined;
      }),
    chmod: ({ argv, folder }) =>
      each(argv.slice(2), word =>
        files.kind(absolute(word, folder)) === undefined ? `chmod: cannot access '${word}': ${MISSING}` : undefined,
      ),
    sync: () => succeed(),
    ls({ argv, folder }) {
      const { flags, words } = programOptions(argv, '');
      const wanted = words.length === 0 ? ['.'] : words.toSorted();
      const kindOf = (word: string): 'file' | 'folder' | undefined => files.kind(absolute(word, folder));
      const missing = words.filter(word => kindOf(word) === undefined);
      const folders = flags.has('d') ? [] : wanted.filter(word => kindOf(word) === 'folder');
      const plain = wanted.filter(word => !missing.includes(word) && !folders.includes(word));
      const listing = folders.map(word => {
        const names = (files.list(absolute(word, folder)) ?? []).filter(
          name => flags.has('a') || flags.has('A') || !name.startsWith('.'),
        );
        return (wanted.length > 1 ? `${word}:\n` : '') + textOf(names);
      });
      return {
        stdout: [...(plain.length > 0 ? [textOf(plain)] : []), ...listing].join('\n'),
        stderr: textOf(missing.map(word => `ls: cannot access '${word}': ${MISSING}`)),
        code: missing.length > 0 ? 2 : 0,
      };
    },
  };
}
