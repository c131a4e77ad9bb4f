/** What was typed can not be done as typed. One clear line, exit code 5. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}
