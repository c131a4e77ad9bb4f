// Run after every change of a dependency, on a lock file made without a node_modules beside it.
// A partial registry mirror makes npm leave other platforms' optional packages out of the lock, and `npm ci` then refuses it
// everywhere. This names them again, from what their owners ask for; they carry no integrity until a full registry fills it in.
import { readFileSync, writeFileSync } from 'node:fs';

const FILE = 'package-lock.json';
const OS = ['android', 'darwin', 'linux', 'win32', 'freebsd', 'openharmony'];
const CPU = ['arm64', 'x64', 'arm', 'ia32', 'ppc64', 'riscv64', 's390x', 'loong64'];

const lock = JSON.parse(readFileSync(FILE, 'utf8'));
const added = {};
for (const owner of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(owner.optionalDependencies ?? {})) {
    const words = name.slice(name.lastIndexOf('/') + 1).split('-');
    const os = OS.find(one => words.includes(one));
    const cpu = CPU.find(one => words.includes(one));
    if (`node_modules/${name}` in lock.packages || !os || !cpu) continue;
    const libc = words.includes('musl') ? ['musl'] : words.includes('gnu') ? ['glibc'] : undefined;
    added[`node_modules/${name}`] = {
      version,
      cpu: [cpu],
      ...(owner.dev && { dev: true }),
      ...(libc && { libc }),
      optional: true,
      os: [os],
    };
  }
}
const packages = Object.entries({ ...lock.packages, ...added }).sort(([a], [b]) => a.localeCompare(b, 'en'));
writeFileSync(FILE, `${JSON.stringify({ ...lock, packages: Object.fromEntries(packages) }, null, 2)}\n`);
console.log(`${Object.keys(added).length} packages of other platforms named in ${FILE}`);
