const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** `Thu Jan  1 00:00:00 1970`, as ps prints the start of a process. */
export function longDate(ps: number): string {
  const date = new Date(Math.floor(ps / 1e9));
  const day = String(date.getUTCDate()).padStart(2);
  return `${DAYS[date.getUTCDay()]} ${MONTHS[date.getUTCMonth()]} ${day} ${date.toISOString().slice(11, 19)} ${date.getUTCFullYear()}`;
}

/** `date +FORMAT` at a time of the data plane, which is UTC and begins in 1970. */
export function dateText(format: string, ps: number): string {
  const iso = new Date(Math.floor(ps / 1e9)).toISOString();
  const long = longDate(ps);
  const fields: Readonly<Record<string, string>> = {
    s: String(Math.floor(ps / 1e12)),
    N: String(Math.floor((ps % 1e12) / 1e3)).padStart(9, '0'),
    Y: iso.slice(0, 4),
    m: iso.slice(5, 7),
    d: iso.slice(8, 10),
    e: String(Number(iso.slice(8, 10))).padStart(2),
    H: iso.slice(11, 13),
    M: iso.slice(14, 16),
    S: iso.slice(17, 19),
    F: iso.slice(0, 10),
    T: iso.slice(11, 19),
    Z: 'UTC',
    z: '+0000',
    a: long.slice(0, 3),
    b: long.slice(4, 7),
    '%': '%',
  };
  return format.replace(/%([A-Za-z%])/g, (whole, letter: string) =>
    Object.hasOwn(fields, letter) ? (fields[letter] as string) : whole,
  );
}
