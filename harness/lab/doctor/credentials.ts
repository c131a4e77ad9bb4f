import { resolveCredential, type SecretSource } from '../credentials.ts';
import type { InventoryDevice } from '../inventory.ts';
import { type Finding, isTrouble, told } from './doctor-line.ts';

/** Secrets that the inventory refers to and this shell does not have. Values are looked at and not told. */
export async function checkCredentials(
  { ssh, snmp }: InventoryDevice,
  source: SecretSource,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const reference of [ssh.credentials, ...(snmp ? [snmp.credentials] : [])]) {
    try {
      await resolveCredential(reference, source);
    } catch (error) {
      if (!isTrouble(error)) throw error;
      findings.push({ check: 'secrets', ok: false, ...told(error) });
    }
  }
  return findings;
}
