/**
 * How far round times at flow level are from those packet by packet, at most, as shares, by scenario family. Of other fabrics, loads and
 * transports it is not known, so U of a KPI is not known at flow level.
 *
 * Source: `test/emulators/fabric-sim/flow-level.test.ts`, "flow level is as far from packets as is said of each family", DCQCN, 100 Gb/s.
 */
export const FLOW_ERROR = {
  ring: 0.01,
  hierarchical: 0.02,
  'all-to-all': 0.15,
  permutation: 0.1,
  incast: 0.1,
  'span cut': 0.03,
} as const;
