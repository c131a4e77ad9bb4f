import type { RunView } from './run-view.ts';

/** Half of the last digit of nccl-tests' bandwidth columns, 0.01 GB/s (`getFloatStr` of its util.cu, busbw below 1000 GB/s), bit/s. */
const PRINTED_RATE_BPS = 0.005 * 8e9;

/** The last digit of nccl-tests' time column for times from 100 ms on (fewer have more digits), ns. */
const PRINTED_TIME_NS = 1e3;

/** Frequency tolerance of an Ethernet clock, 100 ppm (IEEE 802.3; RFC 8239 section 2): error of a rate or of a time read by one clock. */
export const CLOCK_TOLERANCE = 1e-4;

/**
 * How far apart the clocks of two real devices may be when an instant of one is compared with an instant of another, ns: the
 * scheduling error that Farspan promises for a fault (p99 10 ms). Nothing when all share one virtual clock.
 */
const BETWEEN_CLOCKS_NS = 10e6;

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

/** U of a difference between an instant of one device and one of another, ns. */
export function instantUncertaintyNs(view: RunView, valueNs: number): number | undefined {
  const printed = timeUncertaintyNs(view);
  if (printed === undefined || view.reading === 'exact') return printed;
  return printed + CLOCK_TOLERANCE * valueNs + (view.reading === 'real' ? BETWEEN_CLOCKS_NS : 0);
}

const exactOrUnknown = ({ trainPackets }: RunView): number | undefined => (trainPackets === 1 ? 0 : undefined);
