/** Numbers in 0..1 from a seed (mulberry32). */
function seeded(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A shell script of everything that the emulated devices' sh knows, the same for the same seed. It ends, and needs no other program than theirs. */
export function generatedScript(seed: number): string {
  const random = seeded(seed);
  const below = (n: number): number => Math.floor(random() * n);
  const pick = <T>(items: readonly T[]): T => items[below(items.length)] as T;
  const several = (most: number, make: () => string, between: string): string =>
    Array.from({ length: 1 + below(most) }, make).join(between);
  const variable = (): string => pick(['a', 'b', 'c', 'x1']);
  const file = (): string => pick(['f0', 'f1', 'f2', 'd/f3']);
  let loops = 0;
  let named = 0;

  const literal = (): string =>
    pick(['a', 'bq', '1', '42', '-', 'x=y', 'a.b', 'A', '%', '@', '0', 'a:b:c', '/p/q.txt']);
  const quoted = (): string =>
    pick([
      `'b c'`,
      `"d  e"`,
      `''`,
      `""`,
      `'a'\\''b'`,
      `"it's"`,
      `'say "x"'`,
      `'$a'`,
      `"\\$b"`,
      `a\\ b`,
      `\\*`,
      `"*"`,
      `'a*'`,
      `"a\\"b"`,
    ]);
  const pattern = (): string =>
    pick(['*', 'f*', '?', '[a-c]*', 'f[0-9]', '[!a]*', '*.*', 'no*such', 'd/*', '*b*', "'*'", '"a"*']);
  const expansion = (depth: number): string => {
    const name = variable();
    return pick([
      () => `$${name}`,
      () => `"$${name}"`,
      () => `\${${name}}`,
      () => `\${${name}:-${literal()}}`,
      () => `"\${${name}:-${literal()} z}"`,
      () => `\${${name}-wq}`,
      () => `\${${name}:+set}`,
      () => `\${#${name}}`,
      () => `"\${${name}%${pick(['?', '*b', 'b*', '.*', ':*', '%:*'])}}"`,
      () => `"\${${name}#${pick(['?', '*:', '#*:', 'a', '*/', '#*/', '"a"'])}}"`,
      () => `$((${arithmetic(2)}))`,
      () => (depth > 0 ? `$( ${list(depth - 1, ' ; ')})` : `"$(echo ${literal()})"`),
      () => (depth > 0 ? `"$( ${list(depth - 1, ' ; ')})"` : '"$*"'),
      () => `"$@"`,
      () => '$#',
      () => '$?',
      () => '$1',
    ])();
  };
  const arithmetic = (depth: number): string =>
    depth === 0
      ? pick(['1', '7', 'n', '$n', '(3)', '0x1f', '010'])
      : pick([
          () =>
            `${arithmetic(depth - 1)} ${pick(['+', '-', '*', '/', '%', '<', '>=', '==', '&&', '||', '&', '|', '<<', '^'])} ${arithmetic(depth - 1)}`,
          () => `-${arithmetic(0)}`,
          () => `!${arithmetic(0)}`,
          () => `(${arithmetic(depth - 1)})`,
          () => `${arithmetic(0)} ? ${arithmetic(0)} : ${arithmetic(0)}`,
          () => `n = ${arithmetic(0)}`,
          () => 'n += 2',
        ])();
  const word = (depth: number): string =>
    pick([literal, literal, quoted, () => expansion(depth), () => literal() + expansion(depth) + quoted(), pattern])();
  const words = (depth: number): string => several(3, () => word(depth), ' ');

  const check = (): string =>
    `[ ${pick([
      () => `${pick(['-n', '-z'])} ${pick([`"$${variable()}"`, "''", 'x'])}`,
      () => `${pick(['-f', '-d', '-e', '-s'])} ${pick([file(), 'd', 'none'])}`,
      () => `"$${variable()}" ${pick(['=', '!='])} ${pick(['a', "'b c'", '""'])}`,
      () => `${pick(['$n', '3', '"$#"'])} ${pick(['-eq', '-ne', '-lt', '-le', '-gt', '-ge'])} ${below(5)}`,
      () => `! -f ${file()}`,
      () => `-f ${file()} ${pick(['-a', '-o'])} "$n" -lt 3`,
      quoted,
    ])()} ]`;
  const filter = (): string =>
    pick([
      'cat',
      'wc -l',
      'sort',
      'sort -r',
      'sort -u',
      'sort -n',
      'head -n 2',
      'tail -n 1',
      'head -c 3',
      'tail -c 4',
      'tail -c +3',
      "cut -d' ' -f1",
      'cut -d : -f 2-',
      'uniq',
      'uniq -c',
      'grep a',
      'grep -v a',
      'grep -c b',
      'grep -F .',
      'grep -q a',
      'tr a-c A-C',
      "tr -d ' '",
      "grep '^a'",
      "grep 'b*c$'",
      'grep -x a',
    ]);
  const print = (depth: number): string =>
    pick([
      () => `echo ${words(depth)}`,
      () => `printf '%s\\n' ${words(depth)}`,
      () => `printf '[%s]' ${words(depth)}`,
      () => `printf '%s=%d;' ${literal()} $((${arithmetic(1)}))`,
      () => `printf '%5s|%-4s|%03d\\n' ${quoted()} a 7`,
    ])();
  const onFiles = (): string =>
    pick([
      () => `cat ${file()}`,
      () => `rm -f ${file()}`,
      () => `rm ${file()}`,
      () => `mv ${file()} ${file()}x`,
      () => `cp ${file()} ${file()}y`,
      () => `touch ${file()}`,
      () => `mkdir -p d/${pick(['e', 'g/h'])}`,
      () => `ls ${pick(['', 'd', 'none', '-1'])}`,
      () => `wc -c < ${file()}`,
      () => `grep -l a f* 2> /dev/null`,
      () => `[ -f ${file()} ] && cat ${file()}`,
    ])();
  const redirection = (): string =>
    pick([
      '',
      '',
      '',
      ` > ${file()}`,
      ` >> ${file()}`,
      ' 2>&1',
      ' > /dev/null',
      ` > ${file()} 2>&1`,
      ' >&2',
      ' 2> /dev/null',
      ` 9>> ${file()} >&9`,
    ]);

  const command = (depth: number): string => {
    const simple: (() => string)[] = [
      () => print(depth),
      () => print(depth),
      () => `${variable()}=${word(depth)}`,
      () => `n=$((${arithmetic(2)}))`,
      onFiles,
      check,
      () =>
        pick([
          'true',
          'false',
          ':',
          'nosuch a',
          'cd .',
          'set -- a "b c" d',
          'set --',
          'shift',
          'command -v echo',
          'unset a',
        ]),
      () => `${variable()}=${literal()} sh -c 'echo "<$a|$b|$0|$1>"' ${literal()} ${quoted()}`,
      () => `{ ${print(0)} | ${filter()}; }`,
      () => `{ ${print(0)} | ${filter()} | ${filter()}; }`,
      () => `read -r a b < ${file()}`,
      () => `eval ${quoted()}`,
      () => `sh -c 'exit ${below(4)}'`,
      () => `export ${variable()}`,
    ];
    const deep: (() => string)[] = [
      () =>
        `if ${list(depth - 1, ' ; ')}; then ${list(depth - 1, '; ')}; ${pick(['', `else ${list(depth - 1, '; ')}; `, `elif ${check()}; then ${list(depth - 1, '; ')}; `])}fi`,
      () => `for ${variable()} in ${words(depth - 1)}; do ${list(depth - 1, '; ')}; done`,
      () => `for w; do echo "$w"; done`,
      () => {
        const counter = `i${loops++}`;
        return `${counter}=0; ${pick(['while [ $', 'until ! [ $'])}${counter} -lt ${1 + below(3)} ]; do ${counter}=$((${counter} + 1)); ${list(depth - 1, '; ')}; ${pick(['', 'continue; ', 'break; ', `[ $${counter} = 2 ] && break; `])}done`;
      },
      () =>
        `case ${word(depth - 1)} in ${pattern()}) ${list(depth - 1, '; ')};; ${pattern()} | ${literal()}) ${list(depth - 1, '; ')};; *) echo other;; esac`,
      () => `{ ${list(depth - 1, '; ')}; }`,
      // Not last in its group: there dash forgets the redirections of one of the two.
      () => `{ ( ${list(depth - 1, '; ')} ); echo sub $?; }`,
      () => {
        const name = `fn${named++}`;
        return `${name}() { ${list(depth - 1, '; ')}; ${pick(['', `return ${below(3)}; `])}}; ${name} ${words(0)}`;
      },
      () => `{ ${print(0)} | while read -r a b; do echo "$b-$a"; done; }`,
      () => `sh -c '${pick(['echo "$1"; exit 3', 'echo $#; exit', 'n=5; echo $((n * 2))'])}' sh ${words(0)}`,
    ];
    return pick(depth > 0 ? [...simple, ...deep] : simple)();
  };
  const joined = (depth: number): string => pick(['', '', '! ']) + command(depth) + redirection();
  const andOr = (depth: number): string => several(2, () => joined(depth), pick([' && ', ' || ']));
  const list = (depth: number, between: string): string => several(2, () => andOr(depth), between);

  return `n=1; mkdir -p d; echo 'a b' > f0; printf 'x:1\\nb a c\\na\\n' > f1; ${several(4, () => andOr(2), pick(['; ', '; ', '\n']))}; echo "end $? $n"`;
}
