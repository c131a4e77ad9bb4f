/**
 * Window of a rate-based law that lets its window follow its rate (HPCC artefact, `rdma-queue-pair.cc`, GetWin with VAR_WIN):
 * full window x rate share, whole bytes, at least 1; Infinity stays. The artefact sends while the bytes in flight are
 * *fewer* than the window, so its last packet may reach beyond; the connection here wants room for the whole packet, hence
 * one MTU less a byte on top.
 */
export function windowAtRate(fullBytes: number, rateShare: number, mtuBytes: number): number {
  if (fullBytes === Number.POSITIVE_INFINITY) return fullBytes;
  return Math.max(1, Math.floor(fullBytes * rateShare)) + mtuBytes - 1;
}
