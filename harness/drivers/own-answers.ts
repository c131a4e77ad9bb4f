/** The parts of a net-snmp (3.29.2) session and request that decide which answer belongs to which request; its type package lacks them. */
interface Request {
  readonly message: Message;
  responseCb: (error: Error | null, ...rest: unknown[]) => void;
  onResponse: (request: Request, message: Message) => void;
}

interface Message {
  readonly pdu: { id: number };
  /** Version 3 only. Bits 0 and 1 of the flags: authenticated, encrypted (RFC 3412 section 6.4). */
  readonly msgGlobalData?: { msgID: number; readonly msgFlags: number };
}

export interface AnsweringSession {
  send(request: Request, noWait?: boolean): unknown;
  registerRequest(request: Request): void;
}

const AUTH_AND_PRIV = 3;
const LARGEST_ID = 0x7fff_ffff;

/**
 * What says nothing about the request, by the library's own words: damaged on the way, of another version or community, from before the
 * agent's last boot, or no answer at all. Whoever asked still waits for the real one.
 */
const NOISE =
  /^(Authentication digest|Failed to decrypt PDU|Version in request|Community '|Message with engineBoots|Unknown PDU type)/;

/**
 * Makes a session take only answers to its own, last question.
 *
 * - net-snmp draws ids at random from 10^8, so that in long runs a late answer to one poll meets the id of a later poll, which asks
 *   for the same OIDs: the value would be old and look new. Here no id comes twice within 2^31 requests.
 * - net-snmp compares the message id of a v3 answer and not the request id within, and takes one with less security than was
 *   asked for, which RFC 3412 section 7.2 step 12 forbids: an answer without authentication would be believed.
 * - net-snmp gives up a request at the first damaged datagram that bears its id. Here the request goes on waiting, and is sent again.
 *
 * @param firstId of this session, from 0 to 2^31 - 1; draw it at random, so that a new session does not meet answers to an old one
 * @param onIgnored hears why an answer was not taken
 */
export function ownAnswers(
  session: AnsweringSession,
  { firstId, onIgnored }: { readonly firstId: number; readonly onIgnored: (why: string) => void },
): void {
  let id = firstId;
  const nextId = (): number => (id = id >= LARGEST_ID ? 1 : id + 1);
  const known = new WeakSet<Request>();
  const send = session.send.bind(session);

  const prepare = (request: Request): void => {
    known.add(request);
    const { pdu, msgGlobalData } = request.message;
    pdu.id = nextId();
    if (msgGlobalData) msgGlobalData.msgID = nextId();
    // The library forgot the request before it looked at the answer, so it is registered again.
    const ignore = (why: string): void => {
      onIgnored(why);
      session.registerRequest(request);
    };
    const { responseCb, onResponse } = request;
    request.responseCb = (error, ...rest) => {
      if (error && NOISE.test(error.message)) ignore(error.message);
      else responseCb(error, ...rest);
    };
    request.onResponse = (own, message) => {
      const asked = (msgGlobalData?.msgFlags ?? 0) & AUTH_AND_PRIV;
      const given = (message.msgGlobalData?.msgFlags ?? 0) & AUTH_AND_PRIV;
      if (message.pdu.id !== pdu.id) ignore(`an answer with request id ${message.pdu.id} instead of ${pdu.id}`);
      else if (given !== asked) ignore('an answer with less security than was asked for');
      else onResponse.call(session, own, message);
    };
  };

  session.send = (request, noWait) => {
    if (!known.has(request)) prepare(request);
    return send(request, noWait);
  };
}
