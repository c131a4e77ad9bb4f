import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { type LinuxBox, linuxBox, type LinuxBoxOptions } from '../../../emulators/device/linux-box.ts';
import { fail, type ShellResult, succeed } from '../../../emulators/device/small-shell.ts';
import { type WallClock, wallClock } from '../../../emulators/device/wall-clock.ts';
import { guardScript, quoted } from '../../../harness/drivers/device-guard.ts';
import { generatedScript } from './script-generator.ts';

const RUNS = Number(process.env['FARSPAN_SHELL_RUNS'] ?? 150);
const FIRST_SEED = Number(process.env['FARSPAN_SHELL_SEED'] ?? 1);

const onPath = (program: string): boolean =>
  (process.env['PATH'] ?? '').split(path.delimiter).some(folder => existsSync(path.join(folder, program)));
const DASH = ['/bin/dash', '/usr/bin/dash'].find(file => existsSync(file));
const skip = DASH === undefined ? 'dash is not installed' : false;
const FOLDER = '/run/farspan';
const scratch = mkdtempSync(path.join(tmpdir(), 'farspan-shell-'));
t.teardown(() => rmSync(scratch, { recursive: true, force: true }));

/** A data plane that moves when it is told to. */
function plane(): { readonly nowPs: number; at(atPs: number, act: () => void): void; advance(ps: number): void } {
  let nowPs = 0;
  let acts: { readonly atPs: number; readonly act: () => void }[] = [];
  return {
    get nowPs() {
      return nowPs;
    },
    at: (atPs, act) => void acts.push({ atPs, act }),
    advance(ps) {
      const end = nowPs + ps;
      for (;;) {
        const [next] = acts.filter(({ atPs }) => atPs <= end).toSorted((a, b) => a.atPs - b.atPs);
        if (!next) break;
        acts = acts.filter(entry => entry !== next);
        nowPs = next.atPs;
        next.act();
      }
      nowPs = end;
    },
  };
}

const real = wallClock(() => performance.now());
const box = (options: Partial<LinuxBoxOptions> = {}): LinuxBox => {
  const made = linuxBox({
    name: 'box',
    wall: real,
    sim: plane(),
    instance: 'test',
    system: {},
    systemd: false,
    programs: () => ({}),
    ...options,
  });
  t.teardown(() => made.close());
  return made;
};
/** The answer of a command that does not wait. */
function now(device: LinuxBox, command: string): ShellResult {
  const answers: ShellResult[] = [];
  device.exec(command, result => void answers.push(result));
  const [answer] = answers;
  if (!answer) throw new Error(`It waits: ${command}`);
  return answer;
}
/** The answer of one that may wait. A device's own timers keep no process alive. */
async function later(device: LinuxBox, command: string): Promise<ShellResult> {
  const alive = setInterval(() => {}, 1000);
  const answer = await new Promise<ShellResult>(resolve => device.exec(command, resolve));
  clearInterval(alive);
  return answer;
}
async function until(what: () => boolean, withinMs = 2000): Promise<boolean> {
  for (const end = performance.now() + withinMs; performance.now() < end; await sleep(5)) if (what()) return true;
  return what();
}

interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number | null;
  readonly files: Readonly<Record<string, string>>;
}

let folders = 0;
function dash(script: string): Outcome {
  const folder = path.join(scratch, `${++folders}`);
  mkdirSync(folder);
  const { stdout, stderr, status } = spawnSync(DASH as string, ['-c', script.replaceAll(FOLDER, folder)], {
    argv0: 'sh',
    cwd: folder,
    encoding: 'utf8',
    input: '',
    timeout: 10_000,
    env: { PATH: process.env['PATH'], LC_ALL: 'C', HOME: '/root' },
  });
  const names = (readdirSync(folder, { recursive: true }) as string[]).filter(name =>
    statSync(path.join(folder, name)).isFile(),
  );
  const plain = (text: string): string => text.replaceAll(folder, FOLDER);
  const files = names.map(name => [name, plain(readFileSync(path.join(folder, name), 'utf8'))] as const);
  rmSync(folder, { recursive: true });
  return {
    stdout: plain(stdout),
    stderr: plain(stderr),
    code: status,
    files: Object.fromEntries(files.toSorted(([a], [b]) => (a < b ? -1 : 1))),
  };
}
function ours(script: string): Outcome {
  const device = box();
  device.files.makeFolder(FOLDER, true);
  const { stdout, stderr, code } = now(device, `cd ${FOLDER}; sh -c ${quoted(script)}`);
  const files = [...device.files.below(FOLDER)].toSorted(([a], [b]) => (a < b ? -1 : 1));
  // coreutils quotes with typographic marks in UTF-8 locales only.
  return { stdout, stderr: stderr.replaceAll(/[‘’]/g, "'"), code, files: Object.fromEntries(files) };
}
/** `undefined` when the two agree. */
function difference(script: string, compareStderr = true): object | undefined {
  const [theirs, mine] = [dash(script), ours(script)];
  const same = (key: keyof Outcome): boolean => JSON.stringify(theirs[key]) === JSON.stringify(mine[key]);
  const agree = same('stdout') && same('code') && same('files') && (!compareStderr || same('stderr'));
  return agree ? undefined : { script, dash: theirs, ours: mine };
}

/** What scripts on devices are made of; each is run by dash and by us. */
const SNIPPETS: readonly string[] = [
  // words
  `printf '%s\\n' 'a'\\''b' "a\\"b" a\\ b "" '' \\$x "\\$x" a"b c"'d e'`,
  `x='a  b'; echo $x "$x" \${x} pre$x"post"`,
  `x=' a b '; set -- $x; echo $#; set -- "$x"; echo $#; set -- $nothing; echo $#; set -- "$nothing"; echo $#`,
  `x=a:b::c; IFS=:; set -- $x; echo $#; printf '[%s]' "$@"`,
  `IFS=' :'; x='a : b:c  d'; printf '[%s]' $x`,
  `set -- a 'b c'; printf '[%s]' $*; printf '[%s]' "$*"; printf '[%s]' $@; printf '[%s]' "$@"; printf '[%s]' "x$@y"`,
  `set --; printf '[%s]' "$@"; printf '[%s]' a "$@" b; echo $#`,
  `set -- 1 2 3 4 5 6 7 8 9 10 11; echo $9 \${10} \${11} $10`,
  `echo \${x:-word} \${x-word} "\${x:-a  b}" \${x:-a  b} \${x:+no}; x=; echo "\${x:-e}" "\${x-e}" "[\${x:+no}]"; x=1; echo \${x:+yes}`,
  `echo "\${x:=new}"; echo $x; echo \${#x}`,
  `x=/a/b/c.tar.gz; echo \${x##*/} \${x#*/} \${x%.*} \${x%%.*} \${x%/*}`,
  `x='a*b'; echo "\${x#"a*"}" \${x%'*b'} "\${x%'*b'}"`,
  `echo $(echo a; echo b) "$(echo a; echo b)" "$(printf 'x\\n\\n\\n')"`,
  `echo $(echo $(echo $(echo deep))) "$(echo "$(echo "a  b")")"`,
  'echo `echo back` "`echo \\`echo nested\\``"',
  `echo $((1 + 2 * 3)) $(((1 + 2) * 3)) $((7 / 2)) $((-7 / 2)) $((-7 % 3)) $((1 << 4)) $((5 & 3)) $((5 | 3)) $((5 ^ 3)) $((~5))`,
  `n=4; echo $((n + 1)) $(($n * 2)) $((n == 4)) $((n != 4 || 0)) $((n > 3 ? 10 : 20)) $((0x1f)) $((010))`,
  `n=1; : $((n += 5)); echo $n; echo $((m = n * 2)) $m; echo $(( ))`,
  `echo $(($(echo 3) + \${y:-4}))`,
  `echo $((9223372036854775807 + 1))`,
  `echo "a\\tb" 'c\\nd' -n; echo -n x; echo; echo 'stop\\chere'`,
  `printf '%s\\n' line 'line two'; printf '%d %s\\n' 1 a 2 b 3; printf 'no args\\n'; printf '%s-%s\\n' a`,
  `printf '%5s|%-5s|%05d|%x|%o|%c|%%|%b\\n' ab cd 42 255 8 xyz 'e\\tf'`,
  `printf '\\101\\n'; printf '%.2s\\n' abc; printf '%+d %i\\n' 5 -3`,
  `echo a#b # a comment\necho next # another`,
  `echo one \\\n two; echo "th\\\nree"`,
  `echo "tick \\\`x\\\` and \\\\ and \\a"`,
  `x=5; x=6 y=7; echo $x $y; x=8 sh -c 'echo $x'; echo $x`,
  `A=1 B="$((1+1))" sh -c 'echo "$A $B"'; echo "[$A]"`,
  `export A=1; sh -c 'echo $A'; B=2; sh -c 'echo "[$B]"'; export B; sh -c 'echo $B'; unset A; sh -c 'echo "[$A]"'`,
  // patterns
  `touch f1 f2 g1 .hidden; echo *; echo f*; echo [fg]1; echo ?2; echo no*; echo "f*" f\\*; echo .h*`,
  `mkdir -p undo; touch undo/b undo/a; for f in undo/*; do echo $f; done; for f in none/*; do echo $f; done; echo */a`,
  `for w in abc a1 'a b' '' '*'; do case $w in a?c) echo three;; a[0-9]) echo digit;; *' '*) echo blank;; '') echo empty;; '*') echo star;; esac; done`,
  `case x in a|b) echo ab;; x | y) echo xy;; esac; case q in (p) echo p;; (*) echo any;; esac; case z in a) ;; esac; echo $?`,
  `x='*'; case abc in $x) echo pattern;; esac; case abc in "$x") echo literal;; *) echo no;; esac`,
  `for c in a B 5 _; do case $c in [[:alpha:]]) echo letter;; [[:digit:]]) echo digit;; [!a-z]) echo other;; esac; done`,
  // control
  `if true; then echo yes; fi; if false; then :; elif [ 1 = 1 ]; then echo elif; else echo no; fi; if false; then :; fi; echo $?`,
  `true && echo a || echo b; false && echo a || echo b; false || false; echo $?; ! true; echo $?; ! false; echo $?`,
  `i=0; while [ $i -lt 5 ]; do i=$((i + 1)); [ $i = 2 ] && continue; [ $i -eq 4 ] && break; echo $i; done; echo "end $i"`,
  `i=0; until [ $i -ge 3 ]; do i=$((i+1)); done; echo $i`,
  `for i in 1 2; do for j in a b c; do [ $j = b ] && continue 2; [ $i = 2 ] && break 2; echo $i$j; done; done`,
  `set -- p q; for x; do echo $x; done; for x in; do echo never; done; echo "[$x]"`,
  `f() { echo "$# $1"; return 3; echo never; }; f a b; echo $?; set -- outer; f inner; echo $1`,
  `f() { local x; x=inner; y=changed; }; x=outer; y=old; f; echo $x $y`,
  `f() { [ $1 -eq 0 ] && return; echo $1; f $(($1 - 1)); }; f 3`,
  `f() { x=1; }; f | cat; echo "[$x]"; (x=2); echo "[$x]"; { x=3; }; echo "[$x]"`,
  `( exit 4 ); echo $?; sh -c 'exit 5'; echo $?; x=$(exit 6); echo $?; echo $(exit 7) $?`,
  `x=$(false); echo $?; y=1; echo $?; false; y=$?; echo $y`,
  `exit 3; echo never`,
  `{ echo a; exit 9; } | cat; echo $?`,
  `set -e; true; false || true; if false; then :; fi; echo before; false; echo never`,
  `set -e; f() { false; echo in; }; f || echo caught; ! true; echo after; (false); echo never`,
  `set -u; echo \${x:-safe}; echo $x; echo never`,
  `shift; echo never`,
  `set -- a b c; shift; echo $1; shift 2; echo $#`,
  `eval 'x=5; echo $x'; eval "echo \\$x" "'a  b'"; echo 'y=9' > lib; . ./lib; echo $y`,
  `trap_free=1; : ignored words; : > empty; [ -f empty ] && [ ! -s empty ] && echo made`,
  `break; echo still; continue; echo here`,
  // files and descriptors
  `echo a > f; echo b >> f; cat f; echo c > f; cat < f`,
  `echo err >&2; echo both > f 2>&1; ls none > g 2>&1; cat g; ls none 2> /dev/null; echo $?`,
  `{ echo out; echo err >&2; } > f 2> g; cat g f`,
  `echo hi 9>> f >&9; cat f; exec 9>> f; echo more >&9; exec 9>&-; echo lost >&9; cat f`,
  `exec 3> f; echo one >&3; echo two >&3; exec 3>&-; cat f; exec 4< f; read -r a <&4; read -r b <&4; echo "$b $a"`,
  `exec 9>> /run/farspan/none/lock; echo never`,
  `echo a > none/f; echo $?; cat < none; echo $?; : > none/f; echo never`,
  `echo x > f; while read -r line; do echo "[$line]"; done < f; printf 'no newline' > g; while read -r l; do echo $l; done < g; echo "[$l]"`,
  `printf 'a b c\\n  d   e  \\n' > f; while read -r x y; do echo "$x|$y"; done < f; IFS=: read -r p q < f; echo "$p|$q"`,
  `printf 'a\\\\tb\\nc\\\\\\nd\\n' > f; while read x; do echo "$x"; done < f; while read -r x; do echo "$x"; done < f`,
  `read -r x < /dev/null; echo $?; printf '1\\n2\\n' | { read -r a; read -r b; echo $a$b; }`,
  `echo 'x y' | while read -r a b; do echo "$b $a"; done; printf 'c\\na\\nb\\na\\n' | sort | uniq | head -n 2`,
  `printf 'k3f9 3\\n' > gen; cut -d ' ' -f 1 gen; cut -d' ' -f2 gen; g=$(cut -d ' ' -f 2 gen); echo $((g + 1))`,
  `mkdir -p a/b/c && touch a/b/c/f && ls a/b; mkdir a; echo $?; mkdir x/y; echo $?; mkdir -p a/b; echo $?`,
  `echo new > f.new && mv f.new f && cat f; mv none f; echo $?; mkdir d; mv f d; cat d/f; cp d/f e; cat e`,
  `touch a b; rm a; rm -f none; rm none; echo $?; mkdir -p d/e; rm d; echo $?; rm -rf d none; [ -d d ]; echo $?; rmdir none`,
  `echo 12345 > f; wc -c < f; wc -l f; head -c 2 f; tail -c 3 f; tail -c +4 f; head -n 1 f; printf 'a\\nb\\nc\\n' | tail -n 2; printf 'a\\nb' | tail -n 1`,
  `printf 'A=1\\0JOB=x\\0' > f; grep -qz JOB=x f && echo found; grep -qz JOB=y f; echo $?; tr '\\0' '\\n' < f`,
  `printf 'one\\ntwo\\nthree\\n' > f; grep t f; grep -c o f; grep -v o f; grep -q none f; echo $?; grep -l one f g; grep -F . f; grep '^t.*e$' f; grep -x two f; grep -i ONE f`,
  `printf '3\\n1\\n10\\n2\\n1\\n' | sort -n; printf 'b\\na\\nb\\n' | sort -u; printf 'x\\nx\\ny\\n' | uniq -c; printf 'b\\na\\n' | sort -r`,
  `echo a:b:c | cut -d: -f2-; echo abc | cut -c1,3; echo hello | tr a-y b-z; echo 'a b' | tr -d ' '; seq 3; seq 2 4; basename /a/b.c .c; dirname /a/b.c`,
  `echo text | tee f; cat f; ls -1; ls none d 2>&1; cat none; head -c 2 none`,
  `[ -f none ]; echo $?; touch f; [ -f f ] && [ -e f ] && [ ! -d f ] && echo file; [ -d . ] && echo folder; [ -s f ]; echo $?`,
  `[ a = a ] && [ a != b ] && [ -n x ] && [ -z '' ] && [ 2 -gt 1 ] && [ 1 -le 1 ] && [ 1 -ne 2 ] && [ 1 -lt 2 ] && [ 3 -ge 3 ] && echo all`,
  `[ ]; echo $?; [ '' ]; echo $?; [ x ]; echo $?; [ -n ]; echo $?; test a = b; echo $?; [ 1 = 1 -a 2 = 3 ]; echo $?; [ 1 = 2 -o 2 = 2 ]; echo $?; [ ! a = b ]; echo $?; [ '(' a = a ')' ]; echo $?`,
  `[ 1 -eq x ]; echo $?; [ a b ]; echo $?; [ a; echo $?; [ -q x ]; echo $?`,
  // processes and what runs them
  `true & echo "$(($! > 1))"; wait; sh -c 'exit 3' & wait $!; echo $?`,
  `(echo in background > f) & wait; cat f; { echo a; echo b; } > g & wait $!; cat g`,
  `kill -0 $$; echo $?; kill -0 99999999 2> /dev/null; echo $?`,
  `sh -c 'echo "$0 $1 $#"' name a b; sh -c 'echo $0'; echo 'echo "$0 $1"; exit 2' > s; sh s x; echo $?; sh none; echo $?; echo 'echo stdin' | sh`,
  `nosuch a; echo $?; /no/such; echo $?; exec nosuch; echo never`,
  `command -v echo; command -v nosuch; echo $?; command echo plain; env A=5 sh -c 'echo $A'; nohup sh -c 'echo nohup' 2> /dev/null < /dev/null`,
  `timeout 5 sh -c 'echo quick; exit 4'; echo $?; cd /; cd /none; echo $?; umask 077`,
  // mistakes
  `echo before\nif true; then\n`,
  `echo before\necho 'open`,
  `echo )`,
  `fi`,
  `echo a | ; echo b`,
  `echo \${x:?is gone}; echo never`,
  `echo $((1 / 0)); echo never`,
  `(`,
];

/** flock(1) as the devices' scripts use it. */
const LOCKS: readonly string[] = [
  `exec 9>> lock; flock -w 10 9 || exit 75; echo locked; flock -n 9; echo $?`,
  `exec 9>> lock; flock 9; sh -c 'exec 8>> lock; flock -n 8; echo $?' 9>&-; flock -u 9; sh -c 'exec 8>> lock; flock -n 8; echo $?'`,
  `exec 9>> lock; flock 9; exec 9>&-; exec 8>> lock; flock -n 8; echo $?`,
  `(flock -n 9; echo $?) 9>> lock; (exec 9>> lock; flock -n 9; echo $?); flock 7; echo $?`,
  `exec 9>> lock; flock -n 9; (flock -n 9; echo $?); exec 8>> lock; flock -n 8; echo $?; flock -n -E 44 8; echo $?`,
];

void t.test('dash and the devices’ shell agree on what scripts are made of', { skip }, t => {
  const locks = onPath('flock') ? LOCKS : [];
  const wrong = [...SNIPPETS, ...locks].flatMap(script => difference(script) ?? []);
  t.comment(`${SNIPPETS.length + locks.length} scripts, ${wrong.length} differences`);
  t.same(wrong, []);
  t.end();
});

void t.test('dash and the devices’ shell agree on generated scripts', { skip }, t => {
  const wrong: object[] = [];
  for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed++) {
    const found = difference(generatedScript(seed));
    if (found) wrong.push({ seed, ...found });
  }
  t.comment(`${RUNS} scripts from seed ${FIRST_SEED}, ${wrong.length} differences`);
  t.same(wrong, []);
  t.end();
});

/** The guard's own program, played as the harness sends it. Where systemd is process 1 the real one would use it: its name is hidden. */
const GUARD = guardScript().replaceAll('/run/systemd/system', `${FOLDER}/none`);
const guarded = (verbs: readonly string[]): string =>
  [
    `umask 077; mkdir -p ${FOLDER} && printf '%s\\n' ${quoted(GUARD)} > ${FOLDER}/guard.x && mv ${FOLDER}/guard.x ${FOLDER}/guard`,
    ...verbs.map(verb => `sh ${FOLDER}/guard ${verb}; echo "exit $?"`),
    // Process ids differ from run to run.
    `rm -rf ${FOLDER}/timer ${FOLDER}/guard`,
  ].join('\n');

void t.test('the guard of a device does under the devices’ shell what it does under dash', { skip }, t => {
  const scripts = [
    ['write 17 k3f9 true'],
    [`take 17 k3f9 '' 30 '30 me'`, `take 18 other '' 30 '30 you'`, `take 18 other '17 k3f9' 30 '30 you'`],
    [`take 17 k3f9 '' 30 '30 me'`, `write 17 k3f9 'echo done > ${FOLDER}/x; exit 4'`, `write 16 old 'echo never'`],
    [
      `take 17 k3f9 '' 30 '30 me'`,
      `arm 17 k3f9 30 cut 'echo undone > ${FOLDER}/x || e=1' 'exit \${e:-0}'`,
      'renew 17 k3f9 30',
      'renew 17 k3f9 30',
      'release 17 k3f9',
      'undo 17 k3f9 cut',
      'undo 17 k3f9 cut',
      'release 17 k3f9',
      'renew 17 k3f9 30',
    ],
    [
      `take 17 k3f9 '' 30 '30 me'`,
      `arm 17 k3f9 30 cut 'true'`,
      `arm 17 k3f9 30 other 'false'`,
      `take 18 next '17 k3f9' 30 '30 you'`,
      'disarm 17 k3f9 cut',
      'disarm 18 next cut',
      'undo 18 next other',
      'disarm 18 next other',
      'fire - next other 1',
      'nonsense 18 next',
    ],
    [
      `take 17 k3f9 '' 30 '30 me'`,
      `arm 17 k3f9 30 cut 'echo undone >> ${FOLDER}/x'`,
      'fire - k3f9 cut 2',
      'fire - k3f9 cut 1',
      'fire - k3f9 cut 1',
      'renew 17 k3f9 30',
    ],
  ];
  const wrong = scripts.flatMap(verbs => difference(guarded(verbs)) ?? []);
  t.comment(`${scripts.length} scripts of ${scripts.flat().length} verbs, ${wrong.length} differences`);
  t.same(wrong, []);
  t.end();
});

void t.test('the login shell has the words of bash, and programs get their words as they were written', t => {
  const calls: (readonly string[])[] = [];
  const device = box({
    programs: () => ({
      show: ({ argv }) => (calls.push(argv.slice(1)), succeed(`${argv.length}\n`)),
      bad: () => fail(3, 'bad: no'),
      job: ({ background }) => (background ? { running: () => true, signal: () => {} } : succeed()),
    }),
  });
  t.same(now(device, `show 'a b' "c;d" e\\ f 2`), { stdout: '5\n', stderr: '', code: 0 });
  t.same(calls.at(-1), ['a b', 'c;d', 'e f', '2']);
  t.match(now(device, 'bad && show x'), { stdout: '', stderr: 'bad: no\n', code: 3 });
  t.match(now(device, 'bad || show x'), { stdout: '2\n', code: 0 });
  t.match(now(device, 'bad; echo $?'), { stdout: '3\n', code: 0 });
  t.match(now(device, 'setsid nohup job a > /tmp/x 2>&1 < /dev/null & echo $!'), { stdout: /^\d+\n$/, code: 0 });
  t.match(now(device, 'bad > /tmp/e 2>&1; cat /tmp/e'), { stdout: 'bad: no\n', stderr: '', code: 0 });
  t.match(now(device, 'sudo nosuch'), { stderr: 'bash: line 1: nosuch: command not found\n', code: 127 });
  t.match(now(device, "show 'open"), {
    stderr: "bash: -c: line 1: unexpected EOF while looking for matching `''\n",
    code: 2,
  });
  t.match(now(device, 'show a | cat'), { stdout: '2\n', code: 0 });
  t.match(now(device, 'kill 99999'), { stderr: 'bash: line 1: kill: (99999) - No such process\n', code: 1 });
  t.end();
});

void t.test('hostile input ends soon, with a word for it', t => {
  const device = box();
  const nested = (open: string, close: string, depth: number): string => open.repeat(depth) + close.repeat(depth);
  const cases: readonly (readonly [string, number])[] = [
    [`echo ${'x'.repeat(70_000)}`, 126],
    [`echo ${'x'.repeat(60_000)} > /dev/null`, 0],
    ['a;'.repeat(30_000), 127],
    [nested('$(', ')', 20_000), 2],
    [`echo ${nested('$(', ')', 5000)}`, 2],
    [nested('(', ')', 20_000), 2],
    [nested('{ ', ' }', 10_000), 2],
    [`echo $((${nested('(', ')', 20_000)}))`, 1],
    [`echo $((${'-'.repeat(50_000)}1))`, 1],
    [`echo $((${'1+'.repeat(30_000)}1))`, 0],
    ["'".repeat(60_001), 2],
    ['`'.repeat(60_001), 2],
    ['"$('.repeat(20_000), 2],
    ['${x:-'.repeat(10_000), 2],
    ['if '.repeat(20_000), 2],
    ['while :; do :; done', 137],
    ['until false; do true; done', 137],
    ['f() { f; }; f', 1],
    ['f() { f | f; }; f', 137],
    ['x=aaaaaaaaaaaaaaaa; while :; do x=$x$x$x$x; done', 1],
    ['set -- a b c d; while :; do set -- "$@" "$@"; done', 1],
    ['while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done > /tmp/f', 137],
    [`printf '%999999999s' a > /tmp/f`, 0],
    [`printf '%s' "$(printf '%60000s%60000s%60000s' a b c)" > /tmp/f`, 0],
    [`x=$(printf '%60000s' a); echo "\${x#*b}"`, 1],
    [`case ${'a'.repeat(30_000)} in ${'*a'.repeat(10_000)}b) echo;; esac`, 1],
    [`echo ${'a'.repeat(30_000)} | grep '${'a*'.repeat(400)}b'`, 1],
    [`echo ${'['.repeat(30_000)}`, 0],
    ['constructor; __proto__; toString', 127],
    ['__proto__=1; echo $__proto__ $constructor', 0],
    ['echo ${__proto__} > /tmp/__proto__; cat /tmp/__proto__', 0],
    ['exec 1>&-; echo lost', 1],
    ['seq 999999999', 1],
    ['sh -c "sh -c \'sh -c true\'"', 0],
    ['kill -9 $$; echo still', 137],
    ['mkdir -p ' + '/a'.repeat(10_000), 1],
    ['\0\u001b[31m\u202e', 127],
  ];
  const wrong: object[] = [];
  let slowest = 0;
  for (const [script, code] of cases) {
    // Of the processor: how busy the machine is says nothing of us.
    const began = process.cpuUsage();
    const result = now(device, script);
    const tookMs = process.cpuUsage(began).user / 1000;
    slowest = Math.max(slowest, tookMs);
    if (result.code !== code || tookMs > 2000 || (code !== 0 && code !== 1 && result.stderr === '' && code !== 137))
      wrong.push({
        script: script.slice(0, 60),
        wanted: code,
        got: result.code,
        stderr: result.stderr.slice(0, 200),
        tookMs,
      });
  }
  t.comment(`${cases.length} scripts, the slowest took ${slowest.toFixed(0)} ms of the processor`);
  t.same(wrong, []);
  t.equal(now(device, 'echo alive').stdout, 'alive\n');
  t.end();
});

void t.test('processes have an environment, a group and a command line; the whole group ends at once', async t => {
  const sim = plane();
  const device = box({ sim });
  const started = now(
    device,
    `FARSPAN_JOB=job-1 setsid nohup sh -c 'while :; do echo x >> /tmp/beats; sleep 1; done' > /dev/null 2>&1 < /dev/null & echo $!`,
  );
  const pid = started.stdout.trim();
  now(device, `FARSPAN_JOB=job-2 setsid nohup sleep 100 > /dev/null 2>&1 < /dev/null &`);
  sim.advance(3.5e12);
  t.equal(now(device, 'wc -l < /tmp/beats').stdout, '4\n', 'a job sleeps in data-plane time');
  t.match(device.detached(), [
    { pid: Number(pid), job: 'job-1', args: /^sh -c while/ },
    { job: 'job-2', args: 'sleep 100' },
  ]);
  t.equal(now(device, `grep -qz FARSPAN_JOB=job-1 /proc/${pid}/environ`).code, 0);
  t.equal(now(device, `grep -qz FARSPAN_JOB=job-2 /proc/${pid}/environ`).code, 1);
  t.equal(now(device, `tr '\\0' ' ' < /proc/${pid}/cmdline | head -c 11`).stdout, 'sh -c while');
  t.match(now(device, 'ps -eo pid,args').stdout, new RegExp(`^ +PID COMMAND\\n +1 /sbin/init\\n +${pid} sh -c while`));
  t.equal(now(device, "ps -e -o pid= -o args= | grep 'sleep 100' | grep -c -v grep").stdout, '1\n');
  t.equal(now(device, 'pgrep -f beats').stdout, `${pid}\n`);
  t.match(now(device, `ps -o lstart= -p ${pid}`).stdout, 'Thu Jan  1 00:00:00 1970');
  t.equal(now(device, `kill -TERM -${pid}`).code, 0);
  t.equal(now(device, `kill -0 ${pid}; [ -d /proc/${pid} ]`).code, 1);
  sim.advance(10e12);
  t.equal(now(device, 'wc -l < /tmp/beats').stdout, '4\n', 'it is gone');
  t.match(now(device, 'date +%s.%N; id -u; hostname').stdout, '13.500000000\n0\nbox\n');
  t.end();
});

void t.test('a lock that a background process holds makes others wait, and is free when it ends', async t => {
  const device = box();
  now(device, `mkdir -p ${FOLDER}`);
  now(device, `setsid sh -c 'exec 9>> ${FOLDER}/lock; flock 9; sleep 0.3; echo first >> ${FOLDER}/order' &`);
  t.equal(now(device, `exec 9>> ${FOLDER}/lock; flock -n 9`).code, 1);
  const began = performance.now();
  t.match(await later(device, `exec 9>> ${FOLDER}/lock; flock -w 0.05 9 || exit 75; echo never`), {
    code: 75,
    stdout: '',
  });
  t.ok(performance.now() - began < 250, 'it gave up in time');
  const waited = await later(
    device,
    `exec 9>> ${FOLDER}/lock; flock -w 5 9; echo second >> ${FOLDER}/order; cat ${FOLDER}/order`,
  );
  t.equal(waited.stdout, 'first\nsecond\n');
  t.ok(performance.now() - began >= 250, 'it waited');
  t.match(await later(device, 'timeout 0.05 sleep 5; echo $?'), { stdout: '124\n' });
  now(device, `setsid sh -c 'exec 9>> ${FOLDER}/lock; flock 9; sleep 0.1; : ${FOLDER}' &`);
  const locked = performance.now();
  t.match(await later(device, `exec 9>> ${FOLDER}/lock; flock -w 0.3 9 && sleep 0.5 && echo slept`), {
    stdout: 'slept\n',
  });
  t.ok(performance.now() - locked >= 590, 'the end of its patience for the lock does not wake it from the sleep');
  t.end();
});

for (const systemd of [true, false]) {
  const kind = systemd ? 'systemd' : 'a watchdog process';
  void t.test(`timers of ${kind}: fired with nobody connected, put off, taken away, gone after a boot`, async t => {
    const changes: string[] = [];
    const device = box({
      systemd,
      programs: () => ({ ip: ({ argv }) => (changes.push(argv.slice(1).join(' ')), succeed()) }),
    });
    const guard = (words: string): ShellResult => now(device, `sudo sh ${FOLDER}/guard ${words}`);
    now(device, `mkdir -p ${FOLDER}; printf '%s\\n' ${quoted(guardScript())} > ${FOLDER}/guard`);
    t.match(guard(`take 17 k3f9 '' 0.5 '0.5 me'`), { code: 0, stderr: '' });
    t.match(guard(`arm 17 k3f9 0.5 fault-1 'ip link set dev eth1 up'`), { code: 0, stderr: '' });
    t.match(guard(`arm 17 k3f9 0.5 fault-2 'ip link set dev eth2 up'`), { code: 0, stderr: '' });
    t.equal(device.timers().length, 2);
    const leftMs = Math.max(...device.timers().map(timer => timer.leftMs));
    t.ok(leftMs > 250 && leftMs <= 500, `${leftMs} ms are left`);
    for (let i = 0; i < 6; i++) {
      await sleep(100);
      t.match(guard('renew 17 k3f9 0.5'), { code: 0, stderr: '', stdout: '' });
    }
    t.same(changes, [], 'renewed for longer than it would have lasted');
    t.equal(guard('disarm 17 k3f9 fault-2').code, 0);
    t.equal(device.timers().length, 1);
    const began = performance.now();
    t.ok(await until(() => changes.length > 0, 5000));
    const tookMs = performance.now() - began;
    t.ok(tookMs > 350 && tookMs < 2500, `fired after ${tookMs} ms`);
    t.ok(await until(() => device.detached().length === 0));
    t.same([changes, device.timers(), device.detached()], [['link set dev eth1 up'], [], []]);
    t.match(device.files.below(FOLDER).get('fired'), /^k3f9 fault-1 \d+ 0\n$/);
    t.equal(guard(`arm 17 k3f9 0.5 fault-3 'ip link set dev eth3 up'`).code, 0);
    const boot = now(device, 'cat /proc/sys/kernel/random/boot_id').stdout;
    device.reboot();
    t.same([device.timers(), [...device.files.below('/run')]], [[], []]);
    await sleep(600);
    t.equal(changes.length, 1, 'nothing fires after a boot');
    t.not(now(device, 'cat /proc/sys/kernel/random/boot_id').stdout, boot);
    t.match(guard('write 17 k3f9 true'), { code: 2, stderr: /cannot open/ });
  });
}

void t.test('systemd-run and systemctl say what they do as the real ones', t => {
  const device = box({ systemd: true });
  const run = 'systemd-run --quiet --collect --unit=farspan-F-3 --on-active=500ms --timer-property=AccuracySec=100ms';
  t.same(now(device, `${run} -- sh -c 'echo fired > /tmp/x'`), { stdout: '', stderr: '', code: 0 });
  t.match(now(device, `${run} true`), { code: 1, stderr: /Unit farspan-F-3.timer was already loaded/ });
  t.match(now(device, 'systemctl is-active farspan-F-3.timer'), { code: 0, stdout: 'active\n' });
  t.match(now(device, "systemctl list-timers --all --no-legend --plain 'farspan-*'"), {
    stdout: /farspan-F-3\.timer +farspan-F-3\.service\n$/,
  });
  t.equal(now(device, "systemctl list-timers --all --no-legend --plain 'other-*'").stdout, '');
  t.match(now(device, 'systemctl stop farspan-F-3.timer farspan-F-3.service'), {
    code: 5,
    stderr: /service not loaded/,
  });
  t.match(now(device, 'systemctl is-active farspan-F-3.timer'), { code: 3, stdout: 'inactive\n' });
  t.equal(now(device, "systemctl stop 'farspan-*'; systemctl reset-failed").code, 0);
  t.match(now(device, 'systemd-run --on-active=2min --unit=a true'), { stderr: /^Running timer as unit: a.timer\n/ });
  t.match(now(device, 'systemd-run --on-active=soon true'), { code: 1, stderr: /Failed to parse timer value/ });
  t.match(now(device, 'systemd-run --strange true'), { code: 1, stderr: /unrecognized option/ });
  t.equal(now(device, '[ -d /run/systemd/system ]').code, 0);
  const bare = box();
  t.equal(now(bare, '[ -d /run/systemd/system ]').code, 1);
  t.match(now(bare, 'systemd-run true'), { code: 127, stderr: /command not found/ });
  const lacking = box({ systemd: true, without: new Set(['flock', 'systemd']) });
  t.match(now(lacking, 'command -v flock; command -v systemctl; [ -d /run/systemd/system ]'), { code: 1, stdout: '' });
  t.end();
});

void t.test('a due timer lets what already waits in a socket go first', async t => {
  const order: string[] = [];
  let disarm = (): void => {};
  const server = createServer(socket => {
    socket.on('error', () => {});
    socket.on('data', () => {
      order.push('request');
      disarm();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const client = createConnection(port, '127.0.0.1');
  await once(client, 'connect');
  const clock: WallClock = wallClock(() => performance.now());
  disarm = clock.after(30, () => void order.push('timer'));
  client.write('renew');
  // A long slice of simulation: the request arrives and the timer falls due while nobody looks.
  for (const end = performance.now() + 80; performance.now() < end; );
  await sleep(50);
  t.same(order, ['request']);
  client.destroy();
  server.close();
});
