import t from 'tap';
import { type AnsweringSession, ownAnswers } from '../../../harness/drivers/own-answers.ts';

type Request = Parameters<AnsweringSession['send']>[0];

const AUTH_PRIV = 3;

/** A session that sends nowhere, and tells which requests wait. */
function quietSession(firstId = 7) {
  const waiting: Request[] = [];
  const ignored: string[] = [];
  const session: AnsweringSession = {
    send: () => {},
    registerRequest: request => void waiting.push(request),
  };
  ownAnswers(session, { firstId, onIgnored: why => void ignored.push(why) });
  return { session, waiting, ignored };
}

function request(msgFlags?: number): { readonly request: Request; readonly heard: string[] } {
  const heard: string[] = [];
  return {
    heard,
    request: {
      message: { pdu: { id: 1 }, ...(msgFlags !== undefined && { msgGlobalData: { msgID: 1, msgFlags } }) },
      responseCb: error => void heard.push(error?.message ?? 'none'),
      onResponse: () => void heard.push('answer'),
    },
  };
}

void t.test('no id comes twice, and a request that is sent again keeps its own', async t => {
  const { session } = quietSession(0x7fff_fffe);
  const requests = Array.from({ length: 1000 }, () => request(AUTH_PRIV).request);
  for (const one of requests) session.send(one);
  const ids = requests.map(({ message }) => message.pdu.id);
  const messageIds = requests.map(({ message }) => message.msgGlobalData?.msgID ?? 0);
  t.equal(new Set([...ids, ...messageIds]).size, 2000);
  t.ok(Math.max(...ids, ...messageIds) <= 0x7fff_ffff && Math.min(...ids, ...messageIds) >= 1, 'INTEGER of 31 bits');
  for (const one of requests) session.send(one);
  t.same(
    requests.map(({ message }) => message.pdu.id),
    ids,
  );
});

void t.test('an answer to another request, or with less security, leaves the request waiting', async t => {
  const { session, waiting, ignored } = quietSession();
  const { request: asked, heard } = request(AUTH_PRIV);
  session.send(asked);
  const { id } = asked.message.pdu;
  const answer = (pduId: number, msgFlags: number): Request['message'] => ({
    pdu: { id: pduId },
    msgGlobalData: { msgID: 1, msgFlags },
  });
  asked.onResponse(asked, answer(id - 2, AUTH_PRIV));
  asked.onResponse(asked, answer(id, 0));
  asked.onResponse(asked, answer(id, 1));
  t.same(heard, []);
  t.equal(waiting.length, 3);
  t.match(ignored, [/request id 6 instead of 8/, /less security/, /less security/]);
  asked.onResponse(asked, answer(id, AUTH_PRIV));
  t.same(heard, ['answer']);
});

void t.test('a damaged datagram is no answer; a time-out and an error of the agent are', async t => {
  const { session, waiting } = quietSession();
  const { request: asked, heard } = request();
  session.send(asked);
  asked.responseCb(
    new Error('Authentication digest 00 received in message does not match digest 01 calculated for message'),
  );
  asked.responseCb(new Error('Failed to decrypt PDU: Error: bad'));
  t.same([heard, waiting.length], [[], 2]);
  asked.responseCb(new Error('Request timed out'));
  asked.responseCb(new Error('Wrong Digests'));
  t.same(heard, ['Request timed out', 'Wrong Digests']);
});
