import type { RunView } from './run-view.ts';

/** Half of the last digit of nccl-tests' bandwidth columns, 0.01 GB/s (`getFloatStr` of its util.cu, busbw below 1000 GB/s), bit/s. */
const PRINTED_RATE_BPS = 0.005 * 8e9;

/** The last digit of nccl-tests' time column for times from 100 ms on (fewer have more digits), ns. */
const PRINTED_TIME_NS = 1e3;

/** Frequency tolerance of an Ethernet clock, 100 ppm (IEEE 802.3; RFC 8239 section 2): error of a rate or of a time read by one clock. */
export const CLOCK_TOLERANCE = 1e-4;

/**
 * U of what is read with a resolution: that resolution on a device. Nothing in `sim` when each packet is simulated by itself; not
 * known (undefined) with packet trains and at flow level, whose error depends on the fabric (`model/train-error.ts`, `model/flow-error.ts`).
 */
export const readUncertainty = (view: RunView, resolution: number): number | undefined =>
  view.reading === 'exact' ? exactOrUnknown(view) : resolution;

/** U of a rate that a tool prints, bit/s. */
export const rateUncertaintyBps = (view: RunView): number | undefined => readUncertainty(view, PRINTED_RATE_BPS);

/** U of a duration that a tool prints, ns. */
export const timeUncertaintyNs = (view: RunView): number | undefined => readUncertainty(view, PRINTED_TIME_NS);

/** An instant that a device set. */
export interface DeviceInstant {
  readonly atNs: number;
  /** Nodes of the topology of which one is that device. */
  readonly nodes: readonly string[];
  /** How long before `atNs` it may have been, ns: from the sending of the command that caused it to its acknowledgement. */
  readonly bracketNs?: number | undefined;
}

/**
 * U of the time between an instant of one device and one of another, ns: the printed resolution, the tolerance of a clock's rate, the
 * brackets of both, and how well the offset of each device's clock is known at its instant. Not known (undefined) where real devices
 * were not asked for their clocks.
 */
export function betweenUncertaintyNs(view: RunView, from: DeviceInstant, to: DeviceInstant): number | undefined {
  const printed = timeUncertaintyNs(view);
  if (printed === undefined || view.reading === 'exact') return printed;
  const clocks = [from, to].map(({ nodes, atNs }) => worstBoundNs(nodes.map(node => view.clockBoundNs(node, atNs))));
  if (clocks.some(bound => bound === undefined)) return undefined;
  const brackets = (from.bracketNs ?? 0) + (to.bracketNs ?? 0);
  return clocks.reduce<number>(
    (sum, bound) => sum + (bound ?? 0),
    printed + CLOCK_TOLERANCE * Math.abs(to.atNs - from.atNs) + brackets,
  );
}

/** Not knowing one is not knowing. */
const worstBoundNs = (bounds: readonly (number | undefined)[]): number | undefined =>
  bounds.reduce<number | undefined>(
    (worst, bound) => (worst === undefined || bound === undefined ? undefined : Math.max(worst, bound)),
    bounds.length === 0 ? undefined : 0,
  );

const exactOrUnknown = ({ trainPackets }: RunView): number | undefined => (trainPackets === 1 ? 0 : undefined);
