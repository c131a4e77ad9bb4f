import ssh2 from 'ssh2';

/** Keys that are tried before giving up; one in 256 is spoilt, so ten in a row are not met. */
const TRIES = 10;

/**
 * A new ed25519 key pair in OpenSSH's form.
 *
 * ssh2 1.17.0 strips leading zero bytes of the public key (`lib/keygen.js`, case 'ed25519'), which spoils one key in 256: those are
 * told by reading them back, and made again.
 *
 * @throws Error when no readable key came out
 */
export function ed25519Key(comment: string): { readonly private: string; readonly public: string } {
  for (let i = 0; i < TRIES; i++) {
    const pair = ssh2.utils.generateKeyPairSync('ed25519', { comment });
    if (!(ssh2.utils.parseKey(pair.private) instanceof Error) && !(ssh2.utils.parseKey(pair.public) instanceof Error))
      return pair;
  }
  throw new Error(`ssh2 made ${TRIES} ed25519 keys that it can not read itself.`);
}
