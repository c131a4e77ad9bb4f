import { isRecord, ParseError, parseJson } from '../parse-error.ts';

/** `ethtool -S`: name to count. A counter that is not listed does not exist there; it is not zero. @throws ParseError */
export function parseEthtoolStatistics(text: string): ReadonlyMap<string, bigint> {
  const expected = 'ethtool -S';
  const lines = text.split('\n').filter(line => line.trim() !== '');
  if (lines[0]?.trim() !== 'NIC statistics:') throw new ParseError(`${expected}: "NIC statistics:"`, text);
  const found = new Map<string, bigint>();
  for (const line of lines.slice(1)) {
    // Names hold colons and blanks on some drivers; the count is behind the last colon.
    const colon = line.lastIndexOf(':');
    const name = line.slice(0, Math.max(colon, 0)).trim();
    const count = line.slice(colon + 1).trim();
    if (name === '' || !/^\d{1,20}$/.test(count)) throw new ParseError(`${expected}: a name and a count`, line);
    found.set(name, BigInt(count));
  }
  return found;
}

/**
 * `rdma -j statistic show link DEVICE/PORT`: counters of that one link, name to count.
 *
 * Queue counters such as `out_of_sequence` are 32 bits wide in mlx5 and wrap; congestion counters (`np_cnp_sent`, …) are 64 bits.
 *
 * @throws ParseError
 */
export function parseRdmaStatistics(text: string): ReadonlyMap<string, bigint> {
  const expected = 'rdma -j statistic';
  const links = parseJson(text, expected);
  const [link] = Array.isArray(links) ? (links as readonly unknown[]) : [];
  if (!isRecord(link)) throw new ParseError(`${expected}: one link`, text);
  const found = new Map<string, bigint>();
  for (const [name, value] of Object.entries(link)) {
    if (name === 'ifindex' || name === 'port') continue;
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) found.set(name, BigInt(value));
    else if (typeof value === 'string' && /^\d{1,20}$/.test(value)) found.set(name, BigInt(value));
  }
  return found;
}
