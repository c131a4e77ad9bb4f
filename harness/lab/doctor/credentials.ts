import { resolveCredential, secretsOf, type SecretSource } from '../credentials.ts';
import type { InventoryDevice } from '../inventory.ts';
import { type Finding, isTrouble, told } from './doctor-line.ts';

/** Secrets that the inventory refers to and this shell does not have. Values are looked at and not told. */
export async function checkCredentials(
  { ssh, snmp }: InventoryDevice,
  source: SecretSource,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const references = [ssh.credentials, ...(snmp ? [snmp.credentials] : [])];
  for (const reference of references) {
    try {
      await resolveCredential(reference, source);
    } catch (error) {
      if (!isTrouble(error)) throw error;
      findings.push({ check: 'secrets', ok: false, ...told(error) });
    }
  }
  const short = secretsOf(source.inventory).short.filter(name => references.some(of => name.startsWith(`${of} `)));
  if (short.length > 0)
    findings.push({
      check: 'secrets',
      ok: true,
      detail: `${short.join(', ')}: so short that it can not be kept out of what is shown without hiding ordinary words; choose a longer one`,
    });
  return findings;
}
