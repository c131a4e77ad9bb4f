import { homedir } from 'node:os';
import path from 'node:path';

/**
 * Where leases, journals and the health of devices are kept: the option `state`, else FARSPAN_STATE, else the place of the XDG base
 * directory specification for state. All runners of one machine that share a lab must share it.
 */
export function stateFolder(stated: string | undefined, env: Readonly<Record<string, string | undefined>>): string {
  const { FARSPAN_STATE, XDG_STATE_HOME } = env;
  if (stated) return path.resolve(stated);
  if (FARSPAN_STATE) return path.resolve(FARSPAN_STATE);
  // The specification says that a relative path there is to be ignored.
  const home =
    XDG_STATE_HOME && path.isAbsolute(XDG_STATE_HOME) ? XDG_STATE_HOME : path.join(homedir(), '.local', 'state');
  return path.join(home, 'farspan');
}
