import { type DoctorCheck, type Finding, isTrouble, told } from './doctor-line.ts';

/**
 * Runs a check for at most so long. One that fails or is late says that it does not know, and never holds up the others.
 *
 * @throws what is no trouble of a device
 */
export async function within(
  check: DoctorCheck,
  deadlineMs: number,
  look: () => Promise<readonly Finding[]>,
): Promise<readonly Finding[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<readonly Finding[]>(resolve => {
    timer = setTimeout(
      () =>
        resolve([
          {
            check,
            ok: 'unknown',
            detail: `no answer within ${deadlineMs / 1000} s`,
            fix: 'It is slow, or its management network is. Log in by hand and look at its load.',
          },
        ]),
      deadlineMs,
    );
  });
  try {
    return await Promise.race([look(), late]);
  } catch (error) {
    if (!isTrouble(error)) throw error;
    return [{ check, ok: 'unknown', ...told(error) }];
  } finally {
    clearTimeout(timer);
  }
}
