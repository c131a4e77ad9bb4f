const BASE64_RUN = /[A-Za-z0-9+/_-]{6,}/g;
const HEX_RUN = /(?:[0-9a-fA-F]{2}[ :]?){4,}/g;
const URL_RUN = /(?:%[0-9a-fA-F]{2}|[^\s"<>%]){4,}/g;

/** Everything that a text says when its base64, hex and URL-encoded runs are read as what they encode. */
function readings(text: string): readonly string[] {
  const decoded: string[] = [];
  for (const [run] of text.matchAll(BASE64_RUN)) {
    // Where in a group of four characters a secret begins is not known.
    for (let shift = 0; shift < 4; shift++) decoded.push(Buffer.from(run.slice(shift), 'base64').toString('latin1'));
  }
  for (const [run] of text.matchAll(HEX_RUN)) {
    const digits = run.replaceAll(/[ :]/g, '');
    for (const from of [0, 1]) decoded.push(Buffer.from(digits.slice(from), 'hex').toString('latin1'));
  }
  for (const [run] of text.matchAll(URL_RUN)) {
    if (!run.includes('%') && !run.includes('+')) continue;
    decoded.push(
      run
        .replaceAll('+', ' ')
        .replaceAll(/%([0-9a-fA-F]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16))),
    );
  }
  return [text, ...decoded];
}

/** Which of the secrets a text gives away, in plain, base64, hex, URL-encoded, or as JSON or HTML would write them. */
export function leaked(text: string, secrets: Readonly<Record<string, string>>): readonly string[] {
  const all = readings(text).join('\n');
  return Object.entries(secrets).flatMap(([name, secret]) => {
    const forms = [
      secret,
      Buffer.from(secret, 'utf8').toString('latin1'),
      JSON.stringify(secret).slice(1, -1),
      secret.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;'),
    ];
    return forms.some(form => all.includes(form)) ? [name] : [];
  });
}
