import type { EventQueue } from '../kernel/event-queue.ts';
import * as portLayout from './ports.ts';
import type { Ports } from './ports.ts';
import { PAUSE_WIRE_BYTES } from './wire-size.ts';

// Copies: V8 folds a module's own constants into its code, imported ones are read at each use.
const {
  DELAY,
  FAR_PORT,
  FORWARDING,
  HOLDING,
  HOLDS,
  PAUSED,
  PORT_FLOAT_SHIFT,
  PORT_SHIFT,
  PRIORITIES,
  PS_PER_BYTE,
  QUEUE_INT_SHIFT,
  QUEUE_SHIFT,
  STORM_SHIFT,
  WAITING,
} = portLayout;

/** PFC frames on their way per link, at first: two thresholds apart, so a few are many; a long fibre may hold more. */
const FRAMES = 16;
/** Bytes of one pause quantum: 512 bit times. IEEE 802.1Q clause 36. */
const QUANTUM_BYTES = 64;
const NEVER = Number.POSITIVE_INFINITY;

export interface PfcOptions {
  readonly ports: Ports;
  readonly events: EventQueue;
  /** 1 to 65535. */
  readonly quanta: number;
  /** See `PfcSettings.frameDelay`. */
  readonly frameDelay: 'link' | 'none';
  /** Times in ps. */
  readonly watchdog: { readonly detectionPs: number; readonly restorationPs: number } | undefined;
  /** What the port sends into its span is lost. */
  readonly isCut: (port: number) => boolean;
  /** A paused queue may send again. */
  readonly onResume: (port: number) => void;
  /** The watchdog has given a queue up: its packets are lost. */
  readonly onStorm: (port: number, priority: number) => void;
}

/**
 * Priority flow control, IEEE 802.1Qbb: pause frames between the two ends of a cable, and what a pause does.
 *
 * - A frame takes 672 bit times and the link's delay and does not wait for the one being sent.
 * - It pauses for its quanta of 512 bit times; while the ingress stays full it is sent again at half of that, so a pause ends by a
 *   resume frame (quanta 0) or, when its sender has died, by running out: a port that is down or a fibre that is cut carries none.
 * - Watchdog (as SONiC's pfcwd: detection, action drop, restoration): a queue that holds packets and has been paused throughout the
 *   detection time is emptied and drops what comes until it has not been paused for the restoration time.
 *
 * Two event sources per port: frames that arrive (2 x ports + port) and timers (3 x ports + port).
 */
export class Pfc {
  readonly framesIn: Float64Array;
  readonly framesOut: Float64Array;
  /** Bit q: the watchdog drops what comes for queue q. The same bits stand in PAUSED, where the way past an empty queue sees them. */
  readonly storming: Uint8Array;
  private readonly options: PfcOptions;
  private readonly pausedSincePs: Float64Array;
  private readonly pausedPs: Float64Array;
  private readonly pausedUntilPs: Float64Array;
  private readonly refreshAtPs: Float64Array;
  private readonly restoreAtPs: Float64Array;
  /** Frames on their way: a ring of `room` a port. */
  private room = FRAMES;
  private arrivesAtPs: Float64Array;
  /** Low byte: priorities; bit 8: pause (1) or resume (0). */
  private content: Uint16Array;
  private readonly first: Uint32Array;
  private readonly count: Uint32Array;

  /** @throws RangeError for quanta or times that would never let virtual time pass */
  constructor(options: PfcOptions) {
    const { quanta, watchdog } = options;
    if (!(Number.isInteger(quanta) && quanta >= 1 && quanta <= 65_535))
      throw new RangeError(`A pause of ${quanta} quanta: 1 to 65535 are possible.`);
    if (watchdog !== undefined && !(watchdog.detectionPs > 0 && watchdog.restorationPs >= 0))
      throw new RangeError(
        `A PFC watchdog that detects after ${watchdog.detectionPs} ps and restores after ${watchdog.restorationPs} ps.`,
      );
    this.options = options;
    const ports = options.ports.count;
    this.framesIn = new Float64Array(ports);
    this.framesOut = new Float64Array(ports);
    this.storming = new Uint8Array(ports);
    this.pausedSincePs = new Float64Array(ports * PRIORITIES);
    this.pausedPs = new Float64Array(ports * PRIORITIES);
    this.pausedUntilPs = new Float64Array(ports * PRIORITIES);
    this.restoreAtPs = new Float64Array(ports * PRIORITIES).fill(NEVER);
    this.refreshAtPs = new Float64Array(ports).fill(NEVER);
    this.arrivesAtPs = new Float64Array(ports * FRAMES);
    this.content = new Uint16Array(ports * FRAMES);
    this.first = new Uint32Array(ports);
    this.count = new Uint32Array(ports);
  }

  /** The ingress pauses (true) or resumes (false) a priority at the port that feeds it. */
  hold(ingress: number, priority: number, on: boolean, nowPs: number): void {
    const { ints, queueInts } = this.options.ports;
    const at = (ingress << PORT_SHIFT) + HOLDING;
    const bit = 1 << priority;
    const holding = ints[at] as number;
    ints[at] = on ? holding | bit : holding & ~bit;
    queueInts[(((ingress << QUEUE_SHIFT) + priority) << QUEUE_INT_SHIFT) + HOLDS] = on ? 1 : 0;
    this.send(ingress, bit, on, nowPs);
    if (on && holding === 0) this.refreshLater(ingress, nowPs);
  }

  private refreshLater(ingress: number, nowPs: number): void {
    const at = nowPs + Math.floor(this.quantaPs(ingress) / 2);
    this.refreshAtPs[ingress] = at;
    this.options.events.pushEarlier(at, 3 * this.options.ports.count + ingress);
  }

  private quantaPs(port: number): number {
    const perByte = this.options.ports.floats[(port << PORT_FLOAT_SHIFT) + PS_PER_BYTE] as number;
    return Math.round(this.options.quanta * QUANTUM_BYTES * perByte);
  }

  private send(ingress: number, priorities: number, pause: boolean, nowPs: number): void {
    const { ports, events, isCut } = this.options;
    if (ports.ints[(ingress << PORT_SHIFT) + FORWARDING] === 0 || isCut(ingress)) return;
    const f = ingress << PORT_FLOAT_SHIFT;
    const target = ports.ints[(ingress << PORT_SHIFT) + FAR_PORT] as number;
    const at =
      this.options.frameDelay === 'none'
        ? nowPs
        : nowPs +
          Math.round(PAUSE_WIRE_BYTES * (ports.floats[f + PS_PER_BYTE] as number)) +
          (ports.floats[f + DELAY] as number);
    this.framesOut[ingress] = (this.framesOut[ingress] as number) + 1;
    const count = this.count[target] as number;
    if (count === this.room) this.widen();
    this.count[target] = count + 1;
    const slot = target * this.room + (((this.first[target] as number) + count) % this.room);
    this.arrivesAtPs[slot] = at;
    this.content[slot] = priorities | (pause ? 0x100 : 0);
    if (count === 0) events.push(at, 2 * ports.count + target);
  }

  /** Twice the room for frames on every link; each ring begins at 0 again. */
  private widen(): void {
    const { room, first, count } = this;
    const arrivesAtPs = new Float64Array(2 * this.arrivesAtPs.length);
    const content = new Uint16Array(2 * this.content.length);
    for (let port = 0; port < first.length; port++) {
      for (let i = 0; i < (count[port] as number); i++) {
        const from = port * room + (((first[port] as number) + i) % room);
        arrivesAtPs[2 * port * room + i] = this.arrivesAtPs[from] as number;
        content[2 * port * room + i] = this.content[from] as number;
      }
    }
    first.fill(0);
    this.room = 2 * room;
    this.arrivesAtPs = arrivesAtPs;
    this.content = content;
  }

  /** A frame has arrived at `port`. */
  frameDue(port: number, nowPs: number): void {
    const { ports, events, isCut } = this.options;
    const first = this.first[port] as number;
    const content = this.content[port * this.room + first] as number;
    const next = (first + 1) % this.room;
    this.first[port] = next;
    const left = (this.count[port] as number) - 1;
    this.count[port] = left;
    // A frame never overtakes one sent before it, even when the link has become shorter.
    if (left > 0)
      events.push(Math.max(nowPs, this.arrivesAtPs[port * this.room + next] as number), 2 * ports.count + port);
    if (ports.ints[(port << PORT_SHIFT) + FORWARDING] === 0) return;
    if (isCut(ports.ints[(port << PORT_SHIFT) + FAR_PORT] as number)) return;
    this.framesIn[port] = (this.framesIn[port] as number) + 1;
    if ((content & 0x100) !== 0) this.pause(port, content & 0xff, nowPs);
    else this.resume(port, content & 0xff, nowPs);
  }

  /** Priorities of a port stop, for the quanta of one frame. */
  pause(port: number, priorities: number, nowPs: number): void {
    const { ports, events, watchdog } = this.options;
    const at = (port << PORT_SHIFT) + PAUSED;
    const before = ports.ints[at] as number;
    const until = nowPs + this.quantaPs(port);
    let checkAt = until;
    for (let priority = 0; priority < PRIORITIES; priority++) {
      if ((priorities & (1 << priority)) === 0) continue;
      const queue = (port << QUEUE_SHIFT) + priority;
      this.pausedUntilPs[queue] = until;
      if ((before & (1 << priority)) === 0) this.pausedSincePs[queue] = nowPs;
      if (watchdog !== undefined) {
        this.restoreAtPs[queue] = NEVER;
        checkAt = Math.min(checkAt, (this.pausedSincePs[queue] as number) + watchdog.detectionPs);
      }
    }
    ports.ints[at] = before | priorities;
    events.pushEarlier(Math.max(nowPs, checkAt), 3 * ports.count + port);
  }

  resume(port: number, priorities: number, nowPs: number): void {
    const { ports, events, watchdog } = this.options;
    const at = (port << PORT_SHIFT) + PAUSED;
    const ending = (ports.ints[at] as number) & priorities;
    if (ending === 0) return;
    ports.ints[at] = (ports.ints[at] as number) & ~priorities;
    for (let priority = 0; priority < PRIORITIES; priority++) {
      if ((ending & (1 << priority)) === 0) continue;
      const queue = (port << QUEUE_SHIFT) + priority;
      this.pausedPs[queue] = (this.pausedPs[queue] as number) + nowPs - (this.pausedSincePs[queue] as number);
      if (watchdog !== undefined && ((this.storming[port] as number) & (1 << priority)) !== 0) {
        this.restoreAtPs[queue] = nowPs + watchdog.restorationPs;
        events.pushEarlier(this.restoreAtPs[queue] as number, 3 * ports.count + port);
      }
    }
    this.options.onResume(port);
  }

  /** Refreshes what the port holds, ends pauses of the port that have run out, looks for storms. */
  timerDue(port: number, nowPs: number): void {
    const { ports, events, watchdog, onStorm } = this.options;
    const i = port << PORT_SHIFT;
    let nextAt = NEVER;
    if ((this.refreshAtPs[port] as number) <= nowPs) {
      this.refreshAtPs[port] = NEVER;
      const holding = ports.ints[i + HOLDING] as number;
      if (holding !== 0) {
        this.send(port, holding, true, nowPs);
        this.refreshAtPs[port] = nowPs + Math.floor(this.quantaPs(port) / 2);
      }
    }
    nextAt = Math.min(nextAt, this.refreshAtPs[port] as number);
    let over = 0;
    for (let priority = 0; priority < PRIORITIES; priority++) {
      const bit = 1 << priority;
      const queue = (port << QUEUE_SHIFT) + priority;
      if (((ports.ints[i + PAUSED] as number) & bit) !== 0) {
        const until = this.pausedUntilPs[queue] as number;
        if (until <= nowPs) over |= bit;
        else nextAt = Math.min(nextAt, until);
        if (watchdog === undefined || ((this.storming[port] as number) & bit) !== 0) continue;
        const stormAt = (this.pausedSincePs[queue] as number) + watchdog.detectionPs;
        if (stormAt > nowPs) nextAt = Math.min(nextAt, stormAt);
        else if (((ports.ints[i + WAITING] as number) & bit) !== 0) {
          this.storming[port] = (this.storming[port] as number) | bit;
          ports.ints[i + PAUSED] = (ports.ints[i + PAUSED] as number) | (bit << STORM_SHIFT);
          onStorm(port, priority);
        } else nextAt = Math.min(nextAt, nowPs + watchdog.detectionPs);
      } else if ((this.restoreAtPs[queue] as number) <= nowPs) {
        this.restoreAtPs[queue] = NEVER;
        this.storming[port] = (this.storming[port] as number) & ~bit;
        ports.ints[i + PAUSED] = (ports.ints[i + PAUSED] as number) & ~(bit << STORM_SHIFT);
      } else nextAt = Math.min(nextAt, this.restoreAtPs[queue] as number);
    }
    if (over !== 0) this.resume(port, over, nowPs);
    if (nextAt !== NEVER) events.pushEarlier(nextAt, 3 * ports.count + port);
  }

  /** Time that the priorities of a port have been paused, summed, up to now, ps. */
  pausedTotalPs(port: number, nowPs: number): number {
    let total = 0;
    const paused = this.options.ports.ints[(port << PORT_SHIFT) + PAUSED] as number;
    for (let priority = 0; priority < PRIORITIES; priority++) {
      const queue = (port << QUEUE_SHIFT) + priority;
      total += this.pausedPs[queue] as number;
      if ((paused & (1 << priority)) !== 0) total += nowPs - (this.pausedSincePs[queue] as number);
    }
    return total;
  }

  /** Counters of a port start anew; pauses go on. */
  resetCounters(port: number, nowPs: number): void {
    this.framesIn[port] = 0;
    this.framesOut[port] = 0;
    for (let queue = port << QUEUE_SHIFT; queue < (port + 1) << QUEUE_SHIFT; queue++) {
      this.pausedPs[queue] = 0;
      this.pausedSincePs[queue] = nowPs;
    }
  }
}
