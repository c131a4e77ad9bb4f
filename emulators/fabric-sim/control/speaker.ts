import { type AsPath, contains, prepend, samePath } from './as-path.ts';

/** What one switch tells a neighbour: a path per target, null to withdraw it. */
export type Update = ReadonlyMap<string, AsPath | null>;

export interface Choice {
  /** Ports of the shortest paths, in the order of the switch's ports: the ECMP set. */
  readonly ports: readonly string[];
  /** The path that is advertised; null for a host of the switch's own. */
  readonly path: AsPath | null;
}

/** Targets whose ports, and targets whose advertised path, are different now. */
export interface Changes {
  readonly forwarding: ReadonlySet<string>;
  readonly advertised: ReadonlySet<string>;
}

/**
 * The routing process of one switch: path vector by hop count with multipath, as eBGP in a data centre (RFC 4271 9.1,
 * RFC 7938 5 and 6.1: paths of equal length through any neighbour AS are used together). Knows no time.
 */
export class Speaker {
  readonly asn: number;
  readonly #order: ReadonlyMap<string, number>;
  readonly #own = new Map<string, string>();
  readonly #received = new Map<string, Map<string, AsPath>>();
  readonly #chosen = new Map<string, Choice>();

  /** `ports` in the order in which ECMP indexes them. */
  constructor(asn: number, ports: readonly string[]) {
    this.asn = asn;
    this.#order = new Map(ports.map((port, index) => [port, index]));
  }

  targets(): Iterable<string> {
    return this.#chosen.keys();
  }

  choice(target: string): Choice | undefined {
    return this.#chosen.get(target);
  }

  /** Routes accepted from the neighbour at this port. */
  prefixes(port: string): number {
    return this.#received.get(port)?.size ?? 0;
  }

  /** A host is attached at `port`, or (undefined) no longer. */
  attach(target: string, port: string | undefined): Changes {
    if (port === undefined) this.#own.delete(target);
    else this.#own.set(target, port);
    return this.#decide([target]);
  }

  open(port: string): void {
    this.#received.set(port, new Map());
  }

  /** Forgets all that the neighbour at this port said. */
  close(port: string): Changes {
    const gone = this.#received.get(port);
    this.#received.delete(port);
    return this.#decide(gone?.keys() ?? []);
  }

  receive(port: string, update: Update): Changes {
    const table = this.#received.get(port);
    if (!table) return this.#decide([]);
    for (const [target, path] of update) {
      // RFC 4271 9.1.2: a path that holds our own AS is a loop.
      if (path === null || contains(path, this.asn)) table.delete(target);
      else table.set(target, path);
    }
    return this.#decide(update.keys());
  }

  /** What a neighbour of that AS may hear about these targets. Paths through itself are left out, as it would refuse them. */
  tell(neighborAsn: number, targets: Iterable<string>): Update {
    const update = new Map<string, AsPath | null>();
    for (const target of targets) {
      const choice = this.#chosen.get(target);
      update.set(target, choice && !contains(choice.path, neighborAsn) ? prepend(this.asn, choice.path) : null);
    }
    return update;
  }

  /** A reboot: everything is forgotten. */
  clear(): void {
    this.#own.clear();
    this.#received.clear();
    this.#chosen.clear();
  }

  #decide(targets: Iterable<string>): Changes {
    const forwarding = new Set<string>();
    const advertised = new Set<string>();
    for (const target of targets) {
      const before = this.#chosen.get(target);
      const after = this.#best(target);
      if (after) this.#chosen.set(target, after);
      else this.#chosen.delete(target);
      if (before?.ports.join() !== after?.ports.join()) forwarding.add(target);
      if (!before !== !after || !samePath(before?.path ?? null, after?.path ?? null)) advertised.add(target);
    }
    return { forwarding, advertised };
  }

  #best(target: string): Choice | undefined {
    const own = this.#own.get(target);
    if (own !== undefined) return { ports: [own], path: null };
    let shortest = Number.POSITIVE_INFINITY;
    const paths: [string, AsPath][] = [];
    for (const [port, table] of this.#received) {
      const path = table.get(target);
      if (!path || path.length > shortest) continue;
      if (path.length < shortest) paths.length = 0;
      shortest = path.length;
      paths.push([port, path]);
    }
    paths.sort(([a], [b]) => (this.#order.get(a) ?? 0) - (this.#order.get(b) ?? 0));
    const first = paths[0];
    return first && { ports: paths.map(([port]) => port), path: first[1] };
  }
}
