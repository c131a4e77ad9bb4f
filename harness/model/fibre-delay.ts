const LIGHT_METRES_PER_SECOND = 299_792_458;

/** Group index of G.652.D fibre at 1550 nm (Corning SMF-28 data sheet): 4.897 us/km. */
const GROUP_INDEX = 1.4682;

/** One way over a long-haul fibre, ps: length x n_g / c. 80 km take 391.8 us. */
export function fibreDelayPs(metres: number): number {
  return Math.round((metres * GROUP_INDEX * 1e12) / LIGHT_METRES_PER_SECOND);
}

/** How long a fibre is that takes so many ps one way, metres. */
export function fibreMetres(delayPs: number): number {
  return (delayPs * LIGHT_METRES_PER_SECOND) / (GROUP_INDEX * 1e12);
}
