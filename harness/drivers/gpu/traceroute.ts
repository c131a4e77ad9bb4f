import { ParseError } from '../parse-error.ts';

/** `traceroute -n -q 1`: the address of each hop in order, `*` for a hop that did not answer. @throws ParseError */
export function parseTraceroute(text: string): readonly string[] {
  const hops: string[] = [];
  for (const line of text.split('\n')) {
    if (line.trim() === '' || line.startsWith('traceroute to ')) continue;
    const hop = /^ *(\d{1,3}) +(\*|[0-9a-fA-F.:]{2,45})(?= |$)/.exec(line);
    if (!hop || Number(hop[1]) !== hops.length + 1) throw new ParseError('traceroute -n: numbered hops', line);
    hops.push(hop[2] ?? '*');
  }
  if (hops.length === 0) throw new ParseError('traceroute -n', text);
  return hops;
}
