import type { Document } from 'yaml';
import { isMap, isPair, isScalar, LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { TestbedUnavailable } from '../binding/binding.ts';
import { firstLine } from '../binding/first-line.ts';
import { BLASTS } from '../model/fault.ts';
import type { Distance, Duration, Rate } from '../model/units.ts';
import { magnitude } from '../model/units.ts';
import { nearMiss, suggest } from './near-miss.ts';

/** Largest inventory that is read, characters. A lab of 10,000 devices is about 3 MB. */
const LARGEST = 8 * 2 ** 20;

/** Faults shown at once; the rest is counted. */
const MOST_FAULTS = 20;

/** The drivers there are, and which parts of a topology each can play. */
export const DRIVERS = {
  sonic: ['leaf', 'spine'],
  'gpu-node': ['host'],
  'netem-span': ['span'],
} as const satisfies Record<string, readonly Part[]>;

export type DriverName = keyof typeof DRIVERS;
export type Part = 'leaf' | 'spine' | 'host' | 'span';

function isPositive(value: string, form: RegExp): boolean {
  try {
    return form.test(value) && magnitude(value as Rate) > 0;
  } catch {
    return false;
  }
}

const rate = z
  .string()
  .refine(value => isPositive(value, /^[^ ]+ [kMGT]?b\/s$/), 'expected a rate such as "100 Gb/s"')
  .describe('A rate: number, space, unit (b/s, kb/s, Mb/s, Gb/s, Tb/s)') as unknown as z.ZodType<Rate>;

const length = z
  .string()
  .refine(value => isPositive(value, /^[^ ]+ k?m$/), 'expected a length such as "80 km"')
  .describe('A length: number, space, unit (m, km)') as unknown as z.ZodType<Distance>;

const ttl = z
  .string()
  .refine(
    value =>
      /^\d+ (s|min)$/.test(value) &&
      isPositive(value, /./) &&
      magnitude(value as Duration) >= 2e9 &&
      magnitude(value as Duration) <= 3600e9,
    'expected whole seconds or minutes from "2 s" to "60 min"',
  )
  .describe(
    'How long a lease and the undo timers on devices last without renewal; default "60 s"',
  ) as unknown as z.ZodType<Duration>;

const port = z.number().int().min(1).max(65535);
const name = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'expected letters, digits, dot, underscore or hyphen, at most 63');
const path = z.string().min(1).describe('A file, relative to the inventory');
const environment = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'expected the name of an environment variable');
const end = z
  .string()
  // A port that begins with a hyphen would be an option of the command that it enters.
  .regex(/^[A-Za-z0-9._-]+ [A-Za-z0-9][A-Za-z0-9._:/-]{0,62}$/, 'expected "DEVICE PORT", such as "a-leaf-1 Ethernet0"')
  .describe('DEVICE PORT, such as "a-leaf-1 Ethernet0"');

const sshCredential = z.strictObject({
  kind: z.literal('ssh'),
  user: z.string().min(1),
  keyFile: path.optional(),
  passwordEnv: environment.optional(),
  passwordFile: path.optional(),
  agent: z.literal(true).optional().describe('Use the ssh agent at SSH_AUTH_SOCK'),
});

const snmpV3Credential = z.strictObject({
  kind: z.literal('snmp-v3'),
  user: z.string().min(1),
  auth: z.enum(['sha', 'sha224', 'sha256', 'sha384', 'sha512']),
  authKeyFile: path.optional(),
  authKeyEnv: environment.optional(),
  privacy: z.enum(['aes', 'aes128', 'aes256b', 'aes256r']),
  privacyKeyFile: path.optional(),
  privacyKeyEnv: environment.optional(),
});

const snmpV2Credential = z.strictObject({
  kind: z.literal('snmp-v2c'),
  communityFile: path.optional(),
  communityEnv: environment.optional(),
});

const credential = z.discriminatedUnion('kind', [sshCredential, snmpV3Credential, snmpV2Credential]);

const device = z.strictObject({
  driver: z.enum(Object.keys(DRIVERS) as [DriverName, ...DriverName[]]),
  role: z.enum(['lab', 'production']).describe('Only devices of role "lab" are ever written to'),
  site: z.string().min(1),
  part: z.enum(['leaf', 'spine', 'host', 'span']).describe('What it can play in a topology'),
  address: z
    .string()
    .optional()
    .describe('Data-plane address: of the NIC of a host, of the traceroute answers of a switch'),
  ssh: z.strictObject({
    host: z.string().min(1),
    port,
    credentials: z.string(),
    hostKey: z
      .string()
      .regex(/^SHA256:[A-Za-z0-9+/]{43}=?$/, 'expected "SHA256:" and 43 base64 characters, as ssh-keygen -l prints it')
      .optional(),
  }),
  snmp: z.strictObject({ host: z.string().min(1), port, credentials: z.string() }).optional(),
  serial: z.string().min(1).optional(),
  baseMac: z
    .string()
    .regex(/^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}$/, 'expected a MAC such as "02:00:5e:00:00:01"')
    .optional(),
  powerCycle: z
    .literal(true)
    .optional()
    .describe('It may be booted when neither undo nor configuration rollback put it back'),
});

const schema = z.strictObject({
  farspan: z.literal(1).describe('Version of this format'),
  name,
  clock: z.url().optional().describe('A clock service that moves virtual time. Absent: wall time'),
  traps: z
    .strictObject({ host: z.string().min(1), port })
    .optional()
    .describe('Where SNMP traps are received'),
  ttl: ttl.optional(),
  blast: z.enum(BLASTS).optional().describe('The furthest that a fault may reach in this lab; default "device"'),
  credentials: z.record(name, credential),
  devices: z.record(name, device),
  links: z.array(z.strictObject({ ends: z.tuple([end, end]), rate, length })),
  spans: z.array(z.strictObject({ name, device: z.string(), ends: z.tuple([end, end]), rate, length })).default([]),
});

export type Credential = z.output<typeof credential>;
export type InventoryDevice = z.output<typeof device>;
export type InventoryCable = z.output<typeof schema>['links'][number];
export type InventorySpan = z.output<typeof schema>['spans'][number];

/** A checked inventory, with the way back to the line of its file. */
export interface Inventory extends Readonly<z.output<typeof schema>> {
  readonly file: string;
  /** `lab.yaml:14:5`, the place of a key path in the file. */
  where(path: readonly (string | number)[]): string;
}

/** Time-to-live of leases and undo timers, whole seconds. Our choice: long enough for a busy runner, short enough to wait for. */
export const ttlOf = ({ ttl: stated = '60 s' }: Pick<Inventory, 'ttl'>): number => magnitude(stated) / 1e9;

/** What a device is known by in the lease store, whatever an inventory calls it: its host key, or where it is. */
export const deviceKey = ({ ssh }: Pick<InventoryDevice, 'ssh'>): string =>
  ssh.hostKey?.replace(/=+$/, '') ?? `${ssh.host}:${ssh.port}`;

/** The inventory file is wrong. Its message names file, line, column, key path, what was expected and what is known. */
export class InventoryError extends TestbedUnavailable {
  readonly file: string;
  /** Of the first fault; 1-based. */
  readonly line: number;
  readonly column: number;

  constructor(faults: readonly Fault[]) {
    const shown = faults
      .slice(0, MOST_FAULTS)
      .map(fault => `${fault.file}:${fault.line}:${fault.column}: ${fault.text}`);
    if (faults.length > MOST_FAULTS) shown.push(`and ${faults.length - MOST_FAULTS} more faults`);
    super(shown.join('\n'));
    const [first] = faults;
    this.file = first?.file ?? '';
    this.line = first?.line ?? 0;
    this.column = first?.column ?? 0;
  }
}

interface Fault {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly text: string;
}

type Path = readonly (string | number)[];

/** JSON Schema (2020-12) of an inventory, for editors: `# yaml-language-server: $schema=…`. */
export function inventorySchema(): unknown {
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
}

/** `devices.a-leaf-1.ssh.port`, `links[3].ends[0]`. */
const dotted = (path: Path): string =>
  path.reduce<string>((text, key) => (typeof key === 'number' ? `${text}[${key}]` : text ? `${text}.${key}` : key), '');

function valueAt(data: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null && Object.hasOwn(value, key)
        ? (value as Record<string | number, unknown>)[key]
        : undefined,
    data,
  );
}

/** Finds where a key path stands. A key that is missing stands where its parent does. */
class Locator {
  readonly #file: string;
  readonly #document: Document;
  readonly #lines: LineCounter;

  constructor(file: string, document: Document, lines: LineCounter) {
    this.#file = file;
    this.#document = document;
    this.#lines = lines;
  }

  fault(path: Path, text: string, options: { readonly key?: boolean } = {}): Fault {
    return { file: this.#file, ...this.#position(path, options.key ?? false), text };
  }

  #position(path: Path, key: boolean): { line: number; column: number } {
    for (let depth = path.length; depth >= 0; depth--) {
      const offset = this.#offset(path.slice(0, depth), key && depth === path.length);
      if (offset === undefined) continue;
      const { line, col } = this.#lines.linePos(offset);
      return { line, column: col };
    }
    return { line: 1, column: 1 };
  }

  #offset(path: Path, key: boolean): number | undefined {
    const last = path.at(-1);
    const parent: unknown =
      path.length === 0
        ? undefined
        : path.length === 1
          ? this.#document.contents
          : this.#document.getIn(path.slice(0, -1), true);
    if (isMap(parent)) {
      const pair = parent.items.find(
        item => isPair(item) && isScalar(item.key) && String(item.key.value) === String(last),
      );
      if (!pair) return undefined;
      // A map or list is pointed at by its key: that is the line a person looks for.
      const value: unknown = pair.value;
      const at = key || !isScalar(value) ? pair.key : value;
      return (at as { range?: readonly number[] | null }).range?.[0];
    }
    const node: unknown = path.length === 0 ? this.#document.contents : this.#document.getIn(path, true);
    return (node as { range?: readonly number[] | null } | undefined)?.range?.[0];
  }
}

/** The schema at a key path, looking through optional, default and the union member that `kind` selects. */
function schemaAt(root: z.core.$ZodType, path: Path, data: unknown): z.core.$ZodType | undefined {
  const unwrap = (type: z.core.$ZodType, value: unknown): z.core.$ZodType => {
    const def = (type as z.core.$ZodTypes)._zod.def;
    if (def.type === 'optional' || def.type === 'default') return unwrap(def.innerType, value);
    if (def.type === 'union') {
      const kind = valueAt(value, ['kind']);
      const member = def.options.find(option => {
        const shape = (option as z.core.$ZodTypes)._zod.def;
        const literal =
          shape.type === 'object'
            ? ((shape.shape.kind as z.core.$ZodTypes)._zod.def as { values?: unknown[] }).values
            : undefined;
        return literal?.includes(kind as never);
      });
      return member ?? type;
    }
    return type;
  };
  let type: z.core.$ZodType | undefined = unwrap(root, data);
  for (const [depth, key] of path.entries()) {
    const def: z.core.$ZodTypes['_zod']['def'] | undefined = (type as z.core.$ZodTypes | undefined)?._zod.def;
    const next: z.core.$ZodType | undefined =
      def?.type === 'object'
        ? def.shape[key]
        : def?.type === 'record'
          ? def.valueType
          : def?.type === 'array'
            ? def.element
            : undefined;
    if (!next) return undefined;
    type = unwrap(next, valueAt(data, path.slice(0, depth + 1)));
  }
  return type;
}

function keysAt(path: Path, data: unknown): readonly string[] {
  const def = (schemaAt(schema, path, data) as z.core.$ZodTypes | undefined)?._zod.def;
  return def?.type === 'object' ? Object.keys(def.shape) : [];
}

/** Keys that would hold a secret, and what to write in their place. */
const INLINE_SECRETS: Readonly<Record<string, string>> = {
  password: 'passwordEnv: NAME, passwordFile: path, keyFile: path or agent: true',
  passphrase: 'agent: true (the ssh agent holds the key unlocked)',
  key: 'keyFile: path',
  privateKey: 'keyFile: path',
  community: 'communityEnv: NAME or communityFile: path',
  authKey: 'authKeyEnv: NAME or authKeyFile: path',
  authPassword: 'authKeyEnv: NAME or authKeyFile: path',
  privacyKey: 'privacyKeyEnv: NAME or privacyKeyFile: path',
  privPassword: 'privacyKeyEnv: NAME or privacyKeyFile: path',
};

/** A YAML scalar as text; nothing for a map or a list, which have no near miss. */
const scalar = (value: unknown): string =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? `${value}` : '';

const found = (value: unknown): string => {
  if (value === undefined) return 'found nothing';
  if (value === null) return 'found null';
  if (Array.isArray(value)) return 'found a list';
  if (typeof value === 'object') return 'found a map';
  return `found ${JSON.stringify(scalar(value).slice(0, 80))}`;
};

const words: Readonly<Record<string, string>> = {
  object: 'a map',
  record: 'a map',
  array: 'a list',
  tuple: 'a list of two',
  string: 'text',
  number: 'a number',
  int: 'a whole number',
};

function describe(issue: z.core.$ZodIssue, data: unknown, locator: Locator): Fault[] {
  const path = issue.path.filter(key => typeof key !== 'symbol');
  const value = valueAt(data, path);
  const at = dotted(path) || 'inventory';
  switch (issue.code) {
    case 'unrecognized_keys': {
      const known = keysAt(path, data);
      return issue.keys.map(key => {
        const full = [...path, key];
        const instead = Object.hasOwn(INLINE_SECRETS, key) ? INLINE_SECRETS[key] : undefined;
        const text =
          instead === undefined
            ? `unknown key. ${suggest({ word: key, known, what: 'keys' })}`
            : `a secret never stands in an inventory. Write ${instead}, and change the secret if this file was ever shared.`;
        return locator.fault(full, `${dotted(full)}: ${text}`, { key: true });
      });
    }
    case 'invalid_type':
      return [
        value === undefined
          ? locator.fault(path, `${at}: missing. Expected ${words[issue.expected] ?? issue.expected}.`)
          : locator.fault(path, `${at}: expected ${words[issue.expected] ?? issue.expected}, ${found(value)}.`),
      ];
    case 'invalid_value': {
      const known = issue.values.map(String);
      const text =
        value === undefined
          ? `missing. Expected one of: ${known.join(', ')}.`
          : `${found(value)}. ${suggest({ word: scalar(value), known, what: 'values' })}`;
      return [locator.fault(path, `${at}: ${text}`)];
    }
    case 'invalid_union': {
      const kinds = ['ssh', 'snmp-v3', 'snmp-v2c'];
      const kind = valueAt(data, [...issue.path.filter(key => typeof key !== 'symbol').slice(0, 2), 'kind']);
      const text =
        kind === undefined
          ? `missing. Expected one of: ${kinds.join(', ')}.`
          : `${found(kind)}. ${suggest({ word: scalar(kind), known: kinds, what: 'kinds' })}`;
      return [locator.fault(path, `${at}: ${text}`)];
    }
    case 'too_big':
    case 'too_small':
      return [
        locator.fault(
          path,
          `${at}: ${issue.code === 'too_big' ? `expected at most ${issue.maximum}` : `expected at least ${issue.minimum}`}, ${found(value)}.`,
        ),
      ];
    case 'invalid_key':
      return [
        locator.fault(path, `${at}: not a name. Expected letters, digits, dot, underscore or hyphen, at most 63.`, {
          key: true,
        }),
      ];
    default:
      return [locator.fault(path, `${at}: ${issue.message}, ${found(value)}.`)];
  }
}

/** Key paths that are "missing" only because the key beside them is misspelt: one fault, one message. */
function misspeltKeys(issues: readonly z.core.$ZodIssue[], data: unknown): ReadonlySet<string> {
  const missing = new Set<string>();
  for (const issue of issues) {
    if (issue.code !== 'unrecognized_keys') continue;
    const path = issue.path.filter(key => typeof key !== 'symbol');
    for (const key of issue.keys) {
      const meant = nearMiss(key, keysAt(path, data));
      if (meant !== undefined && valueAt(data, [...path, meant]) === undefined) missing.add(dotted([...path, meant]));
    }
  }
  return missing;
}

/** What a schema can not say: references, parts, one way of authentication, one cable per port. */
function crossCheck(data: z.output<typeof schema>, locator: Locator): Fault[] {
  const faults: Fault[] = [];
  const fault = (path: Path, text: string): void => {
    faults.push(locator.fault(path, `${dotted(path)}: ${text}`));
  };
  const devices = Object.keys(data.devices);
  const credentials = Object.entries(data.credentials);

  const exactlyOne = (path: Path, entry: object, choices: readonly string[]): void => {
    const given = choices.filter(choice => (entry as Record<string, unknown>)[choice] !== undefined);
    if (given.length !== 1)
      fault(path, `expected exactly one of ${choices.join(', ')}; found ${given.join(' and ') || 'none'}.`);
  };
  for (const [key, entry] of credentials) {
    const path = ['credentials', key];
    if (entry.kind === 'ssh') exactlyOne(path, entry, ['keyFile', 'passwordEnv', 'passwordFile', 'agent']);
    if (entry.kind === 'snmp-v2c') exactlyOne(path, entry, ['communityFile', 'communityEnv']);
    if (entry.kind === 'snmp-v3') {
      exactlyOne(path, entry, ['authKeyFile', 'authKeyEnv']);
      exactlyOne(path, entry, ['privacyKeyFile', 'privacyKeyEnv']);
    }
  }

  const reference = (path: Path, wanted: string, protocol: 'ssh' | 'snmp'): void => {
    const fitting = credentials.filter(([, entry]) => entry.kind.startsWith(protocol)).map(([key]) => key);
    const entry = Object.hasOwn(data.credentials, wanted) ? data.credentials[wanted] : undefined;
    if (!entry)
      fault(
        path,
        `unknown credential "${wanted}". ${suggest({ word: wanted, known: fitting, what: `${protocol} credentials` })}`,
      );
    else if (!entry.kind.startsWith(protocol)) {
      fault(
        path,
        `credential "${wanted}" is of kind ${entry.kind}, not for ${protocol}. ${suggest({ word: wanted, known: fitting, what: `${protocol} credentials` })}`,
      );
    }
  };
  const seenSerial = new Map<string, string>();
  for (const [key, entry] of Object.entries(data.devices)) {
    const parts: readonly string[] = DRIVERS[entry.driver];
    if (!parts.includes(entry.part))
      fault(['devices', key, 'part'], `driver ${entry.driver} can be ${parts.join(' or ')}, found "${entry.part}".`);
    reference(['devices', key, 'ssh', 'credentials'], entry.ssh.credentials, 'ssh');
    if (entry.snmp) reference(['devices', key, 'snmp', 'credentials'], entry.snmp.credentials, 'snmp');
    const twin = entry.serial === undefined ? undefined : seenSerial.get(entry.serial);
    if (twin !== undefined) fault(['devices', key, 'serial'], `"${entry.serial}" is already the serial of ${twin}.`);
    else if (entry.serial !== undefined) seenSerial.set(entry.serial, key);
  }

  const cabled = new Map<string, string>();
  const ends = (path: Path, pair: readonly [string, string], parts: readonly Part[]): void => {
    for (const [i, text] of pair.entries()) {
      const where = [...path, 'ends', i];
      const [device = ''] = text.split(' ');
      const entry = Object.hasOwn(data.devices, device) ? data.devices[device] : undefined;
      if (!entry)
        fault(where, `unknown device "${device}". ${suggest({ word: device, known: devices, what: 'devices' })}`);
      else if (!parts.includes(entry.part))
        fault(where, `${device} is a ${entry.part}; expected ${parts.join(' or ')}.`);
      const other = cabled.get(text);
      if (other !== undefined) fault(where, `port "${text}" is already cabled in ${other}.`);
      else cabled.set(text, dotted(path));
    }
  };
  for (const [i, link] of data.links.entries()) ends(['links', i], link.ends, ['host', 'leaf', 'spine']);
  const boxes = Object.entries(data.devices)
    .filter(([, entry]) => entry.part === 'span')
    .map(([key]) => key);
  const usedBox = new Map<string, string>();
  for (const [i, span] of data.spans.entries()) {
    const where = ['spans', i, 'device'];
    if (!boxes.includes(span.device))
      fault(
        where,
        `"${span.device}" is no span box of this inventory. ${suggest({ word: span.device, known: boxes, what: 'span boxes' })}`,
      );
    const other = usedBox.get(span.device);
    if (other !== undefined) fault(where, `${span.device} already shapes span ${other}.`);
    usedBox.set(span.device, span.name);
    ends(['spans', i], span.ends, ['leaf', 'spine']);
  }
  return faults;
}

/**
 * Reads an inventory.
 *
 * @param text the YAML
 * @param file its name, for messages only
 * @throws InventoryError with every fault that was found, each with line and column
 */
export function readInventory(text: string, file: string): Inventory {
  if (text.length > LARGEST)
    throw new InventoryError([{ file, line: 1, column: 1, text: `larger than ${LARGEST} characters` }]);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  if (document.errors.length > 0) {
    throw new InventoryError(
      document.errors.map(error => {
        const { line, col } = lines.linePos(error.pos[0]);
        const hint =
          error.code === 'DUPLICATE_KEY' ? 'this key is already there; every name occurs once' : firstLine(error);
        return { file, line, column: col, text: `not valid YAML: ${hint}.`.replace(/\.\.$/, '.') };
      }),
    );
  }
  const locator = new Locator(file, document, lines);
  let data: unknown;
  try {
    data = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw new InventoryError([{ file, line: 1, column: 1, text: `not valid YAML: ${(error as Error).message}` }]);
  }
  const checked = schema.safeParse(data);
  if (!checked.success) {
    const misspelt = misspeltKeys(checked.error.issues, data);
    const issues = checked.error.issues.filter(
      issue => !misspelt.has(dotted(issue.path.filter(key => typeof key !== 'symbol'))),
    );
    throw new InventoryError(issues.flatMap(issue => describe(issue, data, locator)));
  }
  const faults = crossCheck(checked.data, locator);
  if (faults.length > 0) throw new InventoryError(faults);
  return {
    ...checked.data,
    file,
    where(path) {
      const { line, column } = locator.fault(path, '');
      return `${file}:${line}:${column}`;
    },
  };
}
