import { recover as recoverLab } from '../lab/recover.ts';
import { EXIT } from './exit-code.ts';
import { say } from './say.ts';

export interface RecoverCommand {
  readonly inventory: string;
  readonly takeOver: boolean;
}

/** Heals what runs that are gone left in a lab; resolves with the exit code. */
export async function recover({ inventory, takeOver }: RecoverCommand): Promise<number> {
  const { clean, healed, left } = await recoverLab({
    inventory,
    takeOver,
    say: ({ ok, subject, words }) => say(` ${ok ? '✔' : '✘'} ${subject}  ${words}`),
  });
  if (clean) {
    say(healed === 0 ? 'CLEAN: nothing was left in effect.' : `CLEAN: ${healed} undone and read back.`);
    return EXIT.pass;
  }
  say(`DIRTY: ${left.length} could not be put back; no run will use these devices before it is:`);
  for (const line of left) say(`  ! ${line}`);
  return EXIT.dirty;
}
