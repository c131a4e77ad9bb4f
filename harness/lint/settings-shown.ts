import type { SwitchConfiguration } from '../model/device-configuration.ts';
import type { DeclaredSettings, LintedFabric } from './linted-fabric.ts';
import { losslessProfile } from './switch-settings.ts';

/**
 * What switches show in place of a declaration. Only what all of them show alike: half a fabric declares nothing, and neither does a
 * switch that was not read.
 */
export function settingsShown(fabric: LintedFabric, found: readonly SwitchConfiguration[]): DeclaredSettings {
  if (found.length < fabric.switches.length) return {};
  const ecn = shared(found.map(({ ecn: of }) => ('unread' in of ? undefined : losslessProfile(of.value))));
  const bfd = shared(
    found.map(({ bfd: of }) => {
      const [first] = 'unread' in of ? [] : of.value;
      return first === undefined ? undefined : { ms: first.txMs, multiplier: first.multiplier };
    }),
  );
  const pool = shared(found.map(({ poolBytes }) => ('unread' in poolBytes ? undefined : poolBytes.value)));
  return {
    ...(ecn !== undefined &&
      ecn.minBytes !== null &&
      ecn.maxBytes !== null &&
      ecn.probability !== null && {
        ecn: { min: `${ecn.minBytes} B`, max: `${ecn.maxBytes} B`, probability: ecn.probability },
        // A switch has the thresholds of its queues, not those of a 100 Gb/s port.
        switching: { scaleThresholds: false },
      }),
    ...(bfd !== undefined && { controlPlane: { bfdInterval: `${bfd.ms} ms`, bfdMultiplier: bfd.multiplier } }),
    ...(typeof pool === 'number' && { bufferPerSwitch: `${pool} B` }),
    ...pfcShown(fabric, found),
  };
}

/** Whether the ports of spans take part in PFC; nothing when they differ, or were not read. */
function pfcShown({ spans }: LintedFabric, found: readonly SwitchConfiguration[]): Pick<DeclaredSettings, 'pfc'> {
  const ports = new Map(found.map(({ device, buffers }) => [device, 'unread' in buffers ? undefined : buffers.value]));
  if ([...ports.values()].includes(undefined)) return {};
  const none = [...ports.values()].every(of => [...(of ?? new Map()).values()].every(({ pfc }) => pfc === false));
  if (none) return { pfc: null };
  const overSpans = shared(
    spans.flatMap(({ ends }) => ends.map(({ device, port }) => ports.get(device)?.get(port)?.pfc)),
  );
  return overSpans === undefined ? {} : { pfc: { overSpans } };
}

/** What all of them are; undefined when they differ, or one is undefined. */
function shared<T>(values: readonly T[]): T | undefined {
  const [first] = values;
  return values.every(value => JSON.stringify(value) === JSON.stringify(first)) ? first : undefined;
}
