import { TestbedUnavailable } from '../binding/binding.ts';
import type { ShaperState, SpanShaper } from '../binding/span-shaper.ts';
import type { PortRef } from '../model/topology.ts';
import { print } from '../model/units.ts';
import type { Way } from './device-change.ts';
import { wayAt, waysOf } from './device-change.ts';
import { deviceOf, type OpenLab } from './open-lab.ts';

/** Delays closer than this are equal: `tc` prints netem's delay to about six significant digits. */
const SAME_DELAY = 1e-4;
const SAME_LOSS = 1e-4;

/** Everything a fault may change, as it was found at the reservation. Captured before the first write and never again. */
export interface Baseline {
  shaper(span: string, way: Way): ShaperState;
  adminUp(ref: PortRef): boolean;
}

/** One direction of a span, in the topology's sense of direction. */
export function shaperAt(
  lab: OpenLab,
  span: string,
): { shaper: SpanShaper; read(way: Way): Promise<ShaperState>; box(way: Way): Way } {
  const shaper = lab.shapers.get(span);
  const place = lab.solution.spans.get(span);
  if (!shaper || !place) throw new RangeError(`No shaper plays span ${span}.`);
  const box = (way: Way): Way => wayAt(way, place.reversed);
  return { shaper, box, read: way => shaper.read(box(way)) };
}

export const shaperWords = ({ light, delayNs, loss }: Pick<ShaperState, 'light' | 'delayNs' | 'loss'>): string =>
  `light ${light ? 'on' : 'off'}, delay ${print(delayNs, 'duration')}, loss ${print(loss, 'share')}`;

export const sameShaper = (a: ShaperState, b: ShaperState): boolean =>
  a.light === b.light &&
  Math.abs(a.delayNs - b.delayNs) <= SAME_DELAY * Math.max(a.delayNs, b.delayNs) &&
  Math.abs(a.loss - b.loss) <= SAME_LOSS;

/**
 * Reads every shaper and the administrative state of every port that the topology uses.
 *
 * @throws TestbedUnavailable when the lab is not whole: a dark span, a span that loses everything, or a port that is shut
 */
export async function captureBaseline(lab: OpenLab): Promise<Baseline> {
  const shapers = new Map<string, ShaperState>();
  const admin = new Map<string, boolean>();
  await Promise.all([
    ...[...lab.shapers.keys()].flatMap(span =>
      waysOf('both').map(async way => {
        const state = await shaperAt(lab, span).read(way);
        const device = lab.solution.spans.get(span)?.device ?? span;
        if (!state.light || state.loss >= 1) {
          throw new TestbedUnavailable(
            `Span ${span} ${way} passes nothing (${device}: ${shaperWords(state)}). An earlier run may have left it so; put it right and run again.`,
          );
        }
        shapers.set(`${span} ${way}`, state);
      }),
    ),
    ...[...lab.switches].map(async ([node, device]) => {
      const ports = await device.ports();
      for (const { name, port } of lab.solution.portsOf(node)) {
        const status = ports.get(port);
        if (!status) {
          throw new TestbedUnavailable(
            `${deviceOf(lab, node)} has no port ${port}, which ${lab.inventory.file} cables. It has: ${[...ports.keys()].slice(0, 20).join(', ')}.`,
          );
        }
        if (!status.adminUp) {
          throw new TestbedUnavailable(
            `${deviceOf(lab, node)} port ${port} is shut. An earlier run may have left it so: sudo config interface startup ${port}`,
          );
        }
        admin.set(`${node} ${name}`, status.adminUp);
      }
    }),
  ]);
  const found = <T>(map: ReadonlyMap<string, T>, key: string): T => {
    const value = map.get(key);
    if (value === undefined) throw new RangeError(`No baseline of ${key}.`);
    return value;
  };
  return {
    shaper: (span, way) => found(shapers, `${span} ${way}`),
    adminUp: ({ node, port }) => found(admin, `${node} ${port}`),
  };
}
