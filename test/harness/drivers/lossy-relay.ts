import dgram from 'node:dgram';

export interface LossyRelayOptions {
  /** Port of the agent on loopback. */
  readonly to: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Share of datagrams, each. */
  readonly drop: number;
  readonly double: number;
  readonly late: number;
  /** An answer of long ago is sent again beside the new one. */
  readonly replay: number;
  /** One to three bits are turned, and the checksum made right, as a broken middlebox does. */
  readonly flip: number;
}

export interface LossyRelay {
  readonly port: number;
  /** Datagrams that each trouble befell. */
  readonly counts: Readonly<Record<'passed' | 'dropped' | 'doubled' | 'late' | 'replayed' | 'flipped', number>>;
  close(): Promise<void>;
}

const MOST_LATE_MS = 30;
const REMEMBERED = 300;

/** A network between a poller and an agent, as bad as asked for, the same for the same random numbers. */
export async function lossyRelay(options: LossyRelayOptions): Promise<LossyRelay> {
  const { random, to } = options;
  const counts = { passed: 0, dropped: 0, doubled: 0, late: 0, replayed: 0, flipped: 0 };
  const front = dgram.createSocket('udp4');
  const back = dgram.createSocket('udp4');
  const answers: Buffer[] = [];
  const timers = new Set<NodeJS.Timeout>();
  let poller: number | undefined;
  let closed = false;

  const hit = (share: number): boolean => random() < share;
  const flipped = (datagram: Buffer): Buffer => {
    const copy = Buffer.from(datagram);
    for (let i = 0; i < 1 + Math.floor(random() * 3); i++) {
      const at = Math.floor(random() * copy.length);
      copy[at] = (copy[at] ?? 0) ^ (1 << Math.floor(random() * 8));
    }
    return copy;
  };
  const send = (datagram: Buffer, emit: (bytes: Buffer) => void): void => {
    if (hit(options.drop)) {
      counts.dropped++;
      return;
    }
    const isDouble = hit(options.double);
    if (isDouble) counts.doubled++;
    for (let i = 0; i < (isDouble ? 2 : 1); i++) {
      const isFlipped = hit(options.flip);
      if (isFlipped) counts.flipped++;
      const bytes = isFlipped ? flipped(datagram) : datagram;
      if (!hit(options.late)) {
        counts.passed++;
        emit(bytes);
        continue;
      }
      counts.late++;
      const timer = setTimeout(() => {
        timers.delete(timer);
        emit(bytes);
      }, random() * MOST_LATE_MS);
      timers.add(timer);
    }
  };
  const toAgent = (bytes: Buffer): void => {
    if (!closed) back.send(bytes, to, '127.0.0.1');
  };
  const toPoller = (bytes: Buffer): void => {
    if (!closed && poller !== undefined) front.send(bytes, poller, '127.0.0.1');
  };
  front.on('message', (datagram, { port }) => {
    poller = port;
    send(datagram, toAgent);
  });
  back.on('message', datagram => {
    send(datagram, toPoller);
    const old = answers[Math.floor(random() * answers.length)];
    if (old && hit(options.replay)) {
      counts.replayed++;
      toPoller(old);
    }
    answers.push(datagram);
    if (answers.length > REMEMBERED) answers.shift();
  });
  await Promise.all([front, back].map(socket => new Promise<void>(resolve => socket.bind(0, '127.0.0.1', resolve))));
  return {
    port: front.address().port,
    counts,
    close: async () => {
      closed = true;
      for (const timer of timers) clearTimeout(timer);
      await Promise.all([front, back].map(socket => new Promise<void>(resolve => void socket.close(() => resolve()))));
    },
  };
}
