import { absolute, type LinuxFiles } from './linux-files.ts';
import { isPattern, matches, patternOf, type Piece } from './shell-pattern.ts';

/** What a part of a word became, and whether it is split into fields. */
export type Segment = Piece & { readonly split: boolean };

/** Field splitting (POSIX 2.6.5): an empty expansion gives no field, an empty quoted text one. */
export function splitFields(
  segments: readonly (Segment | undefined)[],
  separators: string,
): readonly (readonly Piece[])[] {
  const fields: Piece[][] = [];
  let field: Piece[] | undefined;
  const end = (): void => {
    if (field) fields.push(field);
    field = undefined;
  };
  const isBlank = (c: string | undefined): boolean => c !== undefined && ' \t\n'.includes(c) && separators.includes(c);
  for (const segment of segments) {
    if (!segment) {
      end();
      continue;
    }
    if (!segment.split) {
      (field ??= []).push(segment);
      continue;
    }
    const { text } = segment;
    for (let i = 0; i < text.length; ) {
      const start = i;
      while (i < text.length && !separators.includes(text[i] as string)) i++;
      if (i > start) (field ??= []).push({ text: text.slice(start, i), quoted: false });
      if (i >= text.length) break;
      while (isBlank(text[i])) i++;
      // One separator that is no blank ends a field, also an empty one.
      if (i < text.length && separators.includes(text[i] as string)) {
        field ??= [];
        i++;
        while (isBlank(text[i])) i++;
      }
      end();
    }
  }
  end();
  return fields;
}

/** The fields of `read`: the last name takes the rest as it is, without the blanks around it. */
export function readFields(text: string, count: number, separators: string, raw: boolean): readonly string[] {
  const fields: string[] = [];
  const isBlank = (c: string | undefined): boolean => c !== undefined && ' \t\n'.includes(c) && separators.includes(c);
  let i = 0;
  while (isBlank(text[i])) i++;
  while (fields.length < count - 1 && i < text.length) {
    let field = '';
    for (; i < text.length && !separators.includes(text[i] as string); i++) {
      if (!raw && text[i] === '\\') i++;
      field += text[i] ?? '';
    }
    fields.push(field);
    while (isBlank(text[i])) i++;
    if (i < text.length && separators.includes(text[i] as string) && !isBlank(text[i])) {
      i++;
      while (isBlank(text[i])) i++;
    }
  }
  let end = text.length;
  while (end > i && isBlank(text[end - 1])) end--;
  const rest = text.slice(i, end);
  fields.push(raw ? rest : rest.replace(/\\([^])/g, '$1'));
  return fields;
}

/** Paths that exist and match, sorted; a leading dot must be written. */
export function pathsLike(files: LinuxFiles, pieces: readonly Piece[], folder: string): readonly string[] {
  const components: Piece[][] = [[]];
  for (const { text, quoted } of pieces) {
    for (const [i, part] of text.split('/').entries()) {
      if (i > 0) components.push([]);
      if (part !== '') components.at(-1)?.push({ text: part, quoted });
    }
  }
  let found = [''];
  for (const [i, component] of components.entries()) {
    const last = i === components.length - 1;
    const literal = component.map(({ text }) => text).join('');
    const separator = last ? '' : '/';
    if (!isPattern(component)) {
      found = found.map(path => path + literal + separator);
      continue;
    }
    const pattern = patternOf(component);
    found = found.flatMap(path => {
      const names = files.list(absolute(path === '' ? '.' : path, folder)) ?? [];
      return names
        .filter(name => (!name.startsWith('.') || literal.startsWith('.')) && matches(pattern, name))
        .map(name => path + name + separator);
    });
  }
  return found.filter(path => files.kind(absolute(path, folder)) !== undefined).toSorted();
}
