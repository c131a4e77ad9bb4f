import { fetchHostKey } from '../../drivers/ssh.ts';
import type { InventoryDevice } from '../inventory.ts';
import { type Finding, isTrouble, told } from './doctor-line.ts';

/** Whether SSH answers there, and with the key that is pinned. No credential is sent. */
export async function checkHostKey(
  name: string,
  { ssh }: InventoryDevice,
  deadlineMs: number,
): Promise<readonly Finding[]> {
  let shown: string;
  try {
    shown = await fetchHostKey(ssh.host, ssh.port, deadlineMs);
  } catch (error) {
    if (!isTrouble(error)) throw error;
    return [{ check: 'reach', ok: false, ...told(error) }];
  }
  const reached: Finding = { check: 'reach', ok: true, detail: `SSH answers at ${ssh.host}:${ssh.port}` };
  const pinned = ssh.hostKey?.replace(/=+$/, '');
  if (pinned === undefined)
    return [
      reached,
      {
        check: 'host key',
        ok: false,
        detail: `not pinned; it shows ${shown}`,
        fix: `Compare it on the device's console, then run: farspan trust ${name}`,
      },
    ];
  if (pinned !== shown)
    return [
      reached,
      {
        check: 'host key',
        ok: false,
        detail: `changed; pinned ${pinned}, shown ${shown}`,
        fix: `Reinstalled, or another machine? If the new key is right, run: farspan trust ${name} --replace`,
      },
    ];
  return [reached, { check: 'host key', ok: true, detail: shown }];
}
