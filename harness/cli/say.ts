import { redactKnown } from '../lab/credentials.ts';
import { sanitize } from '../../reports/index.ts';

const MOST = 65_536;

/** Lines for the person at the terminal: harmless to it, and without a secret of any lab that was looked up. */
export const printable = (text: string, most = MOST): string => sanitize(redactKnown(text), { lines: true, most });

export const say = (text: string): void => void process.stdout.write(`${printable(text)}\n`);
