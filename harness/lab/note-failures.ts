import { DeviceError } from '../binding/device-error.ts';
import type { InjectedFault, RunningLoad, RunningProbes, Testbed } from '../binding/testbed.ts';
import { Fenced } from '../drivers/device-guard.ts';

/** The device on whose account something failed; undefined when no device is at fault. A lost lease is nobody's illness. */
function deviceAtFault(error: unknown): DeviceError | undefined {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth++) {
    if (at instanceof Fenced) return undefined;
    if (at instanceof DeviceError) return at;
  }
  return undefined;
}

/**
 * The same testbed, that tells of every error of a device that reaches the run. What the testbed deals with by itself (a switch that is
 * booting, a sample that was not answered) does not. What `because` finds another reason for is told as that, and is no device's fault.
 */
export function noteFailures(
  testbed: Testbed,
  failed: (error: DeviceError) => void,
  because: (error: unknown) => unknown = error => error,
): Testbed {
  const noting = async <T>(act: () => Promise<T>): Promise<T> => {
    try {
      return await act();
    } catch (error) {
      const told = because(error);
      const device = told === error ? deviceAtFault(error) : undefined;
      if (device) failed(device);
      throw told;
    }
  };
  const load = (running: RunningLoad): RunningLoad => ({
    rounds: () => noting(() => running.rounds()),
    stop: () => noting(() => running.stop()),
  });
  const probes = (running: RunningProbes): RunningProbes => ({ stop: () => noting(() => running.stop()) });
  const fault = (injected: InjectedFault): InjectedFault => ({
    ...injected,
    witness: () => noting(() => injected.witness()),
    heal: () => noting(() => injected.heal()),
  });
  return {
    name: testbed.name,
    measured: testbed.measured,
    ...(testbed.playsBackground !== undefined && { playsBackground: testbed.playsBackground }),
    now: () => testbed.now(),
    refuses: what => testbed.refuses(what),
    start: (...what) => noting(async () => load(await testbed.start(...what))),
    probe: what => noting(async () => probes(await testbed.probe(what))),
    inject: (...what) => noting(async () => fault(await testbed.inject(...what))),
    observe: () => noting(() => testbed.observe()),
    elapse: until => noting(() => testbed.elapse(until)),
    ...(testbed.attachments && { attachments: () => testbed.attachments?.() ?? [] }),
    release: () => noting(() => testbed.release()),
  };
}
