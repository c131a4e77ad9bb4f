import { hostname, userInfo } from 'node:os';

/** Who takes a lease, for the people who read it: `ada@runner-3`. */
export const leaseOwner = (): string => `${userInfo().username}@${hostname()}`;
