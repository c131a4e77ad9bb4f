import type { SpanShaper } from '../binding/span-shaper.ts';
import type { Switch } from '../binding/switch.ts';
import { sameShaper, shaperWords } from './baseline.ts';
import type { DeviceChange, Found } from './device-change.ts';

/** What was found before the first write, and what a device says now. */
export interface ReadBack {
  readonly expected: string;
  readonly observed: string;
  /** True only when every object was read and is as it was found. */
  readonly verified: boolean;
}

/** A device as read-backs need it: its driver under the contract that its kind has. */
export type Readable =
  | { readonly kind: 'switch'; readonly driver: Pick<Switch, 'ports'> }
  | { readonly kind: 'span'; readonly driver: Pick<SpanShaper, 'read'> }
  | { readonly kind: 'host' };

interface Part {
  readonly was: string;
  readonly is: string;
  readonly same: boolean;
}

const adminWord = (up: boolean | undefined): string =>
  up === undefined ? 'missing' : up ? 'administratively up' : 'administratively down';

async function partsOf(
  found: Found,
  { device, at }: { readonly device: string; readonly at: Readable },
): Promise<readonly Part[]> {
  if (found.kind === 'shaper') {
    if (at.kind !== 'span') throw new RangeError(`${device} is no span box.`);
    const is = await at.driver.read(found.way);
    const words = (state: typeof is): string => `${device} ${found.way}: ${shaperWords(state)}, ${state.queue.kind}`;
    return [
      {
        was: words(found.state),
        is: words(is),
        same: sameShaper(found.state, is) && is.queue.kind === found.state.queue.kind,
      },
    ];
  }
  if (at.kind !== 'switch') throw new RangeError(`${device} is no switch.`);
  const ports = await at.driver.ports();
  const wanted = found.kind === 'port' ? { [found.port]: found.adminUp } : found.ports;
  return Object.entries(wanted).map(([port, up]) => {
    const now = ports.get(port)?.adminUp;
    const words = (state: boolean | undefined): string => `${device} port ${port} ${adminWord(state)}`;
    return { was: words(up), is: words(now), same: now === up };
  });
}

/** Reads everything that a change may have touched, and compares it with what was found. @throws DeviceError when it can not be read */
export async function readBack(change: DeviceChange, at: Readable): Promise<ReadBack> {
  const { device, found } = change;
  const parts = (await Promise.all(found.map(one => partsOf(one, { device, at })))).flat();
  const wrong = parts.filter(({ same }) => !same);
  const told = wrong.length > 0 ? wrong : parts;
  return {
    expected: told.map(({ was }) => was).join('; '),
    observed: told.map(({ is }) => is).join('; '),
    verified: parts.length > 0 && wrong.length === 0,
  };
}
