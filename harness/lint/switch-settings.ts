import type { EcnProfile, PortBuffer, SwitchConfiguration } from '../model/device-configuration.ts';
import { magnitude } from '../model/units.ts';
import { bytes, counted, distance, duration, share, words } from './amount.ts';
import { atLeast, atMost, exactly, type Judged } from './finding.ts';
import { HEADROOM_SOURCE, headroom } from './headroom.ts';
import type { DeclaredSettings, LintedCable, LintedFabric } from './linted-fabric.ts';
import { unread } from './unread.ts';

/** SONiC's own name of the profile of lossless queues. */
const LOSSLESS_PROFILE = 'AZURE_LOSSLESS';
/** SONiC rounds a probability to whole %. */
const SAME_PROBABILITY = 0.005;
/** Ports named in one finding. */
const MOST_NAMED = 4;

/** The profile of the lossless queues: SONiC's own, or the only one that marks. */
export function losslessProfile(profiles: readonly EcnProfile[]): EcnProfile | undefined {
  const marking = profiles.filter(({ marks }) => marks);
  return marking.find(({ name }) => name === LOSSLESS_PROFILE) ?? (marking.length === 1 ? marking[0] : undefined);
}

/** ECN thresholds of a switch against the declared ones. */
export function switchEcn({ ecn: found }: SwitchConfiguration, { ecn }: DeclaredSettings): readonly Judged[] {
  const check = 'ECN';
  const source = 'ecnconfig -l';
  if ('unread' in found) return [unread(check, found.unread)];
  const profile = losslessProfile(found.value);
  const marking = found.value.filter(({ marks }) => marks).map(({ name }) => name);
  if (profile === undefined && marking.length > 1)
    return [unread(check, `profiles ${marking.join(', ')} mark, and none is ${LOSSLESS_PROFILE}`)];
  if (ecn === undefined) return [];
  if (ecn === null || profile === undefined) {
    const same = ecn === null && profile === undefined;
    return [
      {
        check,
        severity: same ? 'ok' : 'error',
        value: words(profile === undefined ? 'off' : profile.name),
        needed: exactly(words(ecn === null ? 'off' : `${ecn.min} to ${ecn.max}`)),
        formula: profile === undefined ? 'no profile marks' : `profile ${profile.name} marks`,
        source,
        advice: same ? '' : 'Set it with ecnconfig, or declare what the switch does.',
      },
    ];
  }
  const compared = (
    what: string,
    value: number | null,
    wanted: number,
    { of, same }: { of: typeof bytes; same: number },
  ): Judged => {
    const about = { check: `ECN ${what}`, needed: exactly(of(wanted)), source };
    if (value === null)
      return { ...unread(about.check, `profile ${profile.name} does not show it`), needed: about.needed };
    const equal = Math.abs(value - wanted) <= same;
    return {
      ...about,
      severity: equal ? 'ok' : 'error',
      value: of(value),
      formula: `profile ${profile.name} has ${of(value).text}, declared is ${of(wanted).text}`,
      advice: equal ? '' : `ecnconfig -p ${profile.name}, or declare what the switch does.`,
    };
  };
  return [
    compared('Kmin', profile.minBytes, magnitude(ecn.min), { of: bytes, same: 0 }),
    compared('Kmax', profile.maxBytes, magnitude(ecn.max), { of: bytes, same: 0 }),
    compared('Pmax', profile.probability, ecn.probability, { of: share, same: SAME_PROBABILITY }),
  ];
}

/** BFD sessions of a switch against the declared timers; the one that is furthest off. */
export function switchBfd({ bfd: found }: SwitchConfiguration, { controlPlane }: DeclaredSettings): readonly Judged[] {
  const check = 'BFD';
  if ('unread' in found) return [unread(check, found.unread)];
  if (found.value.length === 0)
    return [unread(check, 'show bfd summary lists no session; those of FRR are not in it (vtysh -c "show bfd peers")')];
  const { bfdInterval, bfdMultiplier } = controlPlane ?? {};
  if (bfdInterval === undefined || bfdMultiplier === undefined) return [];
  const wantedMs = magnitude(bfdInterval) / 1e6;
  const off = ({ txMs, multiplier }: (typeof found.value)[number]): number =>
    Math.abs(txMs * multiplier - wantedMs * bfdMultiplier);
  const [worst] = found.value.toSorted((a, b) => off(b) - off(a));
  if (worst === undefined) return [];
  // It shows whole ms, so each interval may be half of one off.
  const same = worst.multiplier === bfdMultiplier && Math.abs(worst.txMs - wantedMs) <= 0.5;
  return [
    {
      check,
      severity: same ? 'ok' : 'error',
      value: duration(worst.txMs * worst.multiplier * 1e6),
      needed: exactly(duration(wantedMs * bfdMultiplier * 1e6)),
      formula: `${worst.peer}: ${worst.multiplier} x ${worst.txMs} ms, declared ${bfdMultiplier} x ${bfdInterval}; ${counted(found.value.length, 'sessions').text}, intervals in whole ms`,
      source: 'show bfd summary',
      advice: same ? '' : 'Set the timers of the session, or declare what the switch does.',
    },
  ];
}

interface LookedAt {
  readonly cable: LintedCable;
  readonly port: string;
  readonly buffer: PortBuffer;
}

/** What a switch reserves for its lossless ports against their cables, and PFC against what is declared. */
export function switchBuffers(
  { device, buffers: found, poolBytes }: SwitchConfiguration,
  { links, spans, settings }: LintedFabric,
): readonly Judged[] {
  if ('unread' in found) return [unread('PFC', found.unread), unread('PFC headroom', found.unread)];
  const ports = [...links, ...spans].flatMap(cable =>
    cable.ends.flatMap(({ device: there, port }): LookedAt[] => {
      const buffer = found.value.get(port);
      return there === device && buffer !== undefined ? [{ cable, port, buffer }] : [];
    }),
  );
  const lossless = ports.filter(({ buffer }) => buffer.pfc);
  return [...asDeclared(ports, settings), ...longEnough(lossless), ...roomEnough(lossless), ...together()];

  function together(): readonly Judged[] {
    const check = 'headroom of all ports';
    if ('unread' in poolBytes) return [unread(check, poolBytes.unread)];
    if (poolBytes.value === null || lossless.length === 0) return [];
    const all = lossless.reduce((sum, { cable }) => sum + headroom(cable).bytes, 0);
    const fits = all <= poolBytes.value;
    return [
      {
        check,
        severity: fits ? 'ok' : 'error',
        value: bytes(all),
        needed: atMost(bytes(poolBytes.value)),
        formula: `${counted(lossless.length, 'lossless ports').text} need ${bytes(all).text} by their cables; the pool is ${bytes(poolBytes.value).text}`,
        source: HEADROOM_SOURCE,
        advice: fits ? '' : 'PFC can not be lossless on all of these ports: end the lossless class before the span.',
      },
    ];
  }
}

const named = (ports: readonly LookedAt[]): string =>
  ports.length <= MOST_NAMED
    ? ports.map(({ port }) => port).join(', ')
    : `${ports
        .slice(0, MOST_NAMED)
        .map(({ port }) => port)
        .join(', ')} and ${ports.length - MOST_NAMED} more`;

function asDeclared(ports: readonly LookedAt[], { pfc }: DeclaredSettings): readonly Judged[] {
  if (pfc === undefined || ports.length === 0) return [];
  const wanted = ({ cable }: LookedAt): boolean => pfc !== null && (cable.kind === 'link' || pfc.overSpans === true);
  const wrong = ports.filter(port => port.buffer.pfc !== wanted(port));
  const [first] = wrong;
  const about = { check: 'PFC', source: 'PORT_QOS_MAP of CONFIG_DB, pfc_enable' };
  if (first === undefined)
    return [
      {
        ...about,
        severity: 'ok',
        value: words('as declared'),
        needed: exactly(words('as declared')),
        formula: counted(ports.length, 'ports').text,
        advice: '',
      },
    ];
  return [
    {
      ...about,
      severity: 'error',
      value: words(first.buffer.pfc ? 'on' : 'off'),
      needed: exactly(words(first.buffer.pfc ? 'off' : 'on')),
      formula: `${named(wrong)}: ${first.cable.kind === 'span' ? 'ports of a span' : 'ports inside the site'}`,
      advice: 'Set pfc_enable of these ports, or declare what the switch does.',
    },
  ];
}

/** The cable length that a switch counts with must not be shorter than the cable. */
function longEnough(lossless: readonly LookedAt[]): readonly Judged[] {
  const check = 'cable length';
  const source = 'CABLE_LENGTH of CONFIG_DB; SONiC computes headroom from it';
  const shortOf = ({ cable, buffer }: LookedAt): number =>
    cable.metres - (buffer.cableMetres ?? Number.POSITIVE_INFINITY);
  const [worst] = lossless
    .filter(({ buffer }) => buffer.cableMetres !== null)
    .toSorted((a, b) => shortOf(b) - shortOf(a));
  if (worst === undefined) return lossless.length === 0 ? [] : [unread(check, `no cable length of ${named(lossless)}`)];
  const short = lossless.filter(port => shortOf(port) > 0);
  const fits = short.length === 0;
  return [
    {
      check,
      severity: fits ? 'ok' : 'error',
      value: distance(worst.buffer.cableMetres ?? 0),
      needed: atLeast(distance(worst.cable.metres)),
      formula: fits
        ? counted(lossless.length, 'lossless ports').text
        : `${named(short)}; ${worst.port} is ${worst.cable.name}`,
      source,
      advice: fits ? '' : 'Set the true length, so that the headroom is computed for it.',
    },
  ];
}

function roomEnough(lossless: readonly LookedAt[]): readonly Judged[] {
  const check = 'PFC headroom';
  const shortOf = ({ cable, buffer }: LookedAt): number =>
    headroom(cable).bytes - (buffer.headroomBytes ?? Number.POSITIVE_INFINITY);
  const silent = lossless.filter(({ buffer }) => buffer.headroomBytes === null);
  const [worst] = lossless
    .filter(({ buffer }) => buffer.headroomBytes !== null)
    .toSorted((a, b) => shortOf(b) - shortOf(a));
  const hidden =
    silent.length === 0
      ? []
      : [
          unread(
            check,
            `${named(silent)}: ${silent[0]?.buffer.profile === 'NULL' ? 'the switch computes it (dynamic buffer model)' : 'no lossless buffer profile'}`,
          ),
        ];
  if (worst === undefined) return hidden;
  const fits = shortOf(worst) <= 0;
  return [
    ...hidden,
    {
      check,
      severity: fits ? 'ok' : 'error',
      value: bytes(worst.buffer.headroomBytes ?? 0),
      needed: atLeast(bytes(headroom(worst.cable).bytes)),
      formula: `${worst.port}, ${worst.buffer.profile}: ${headroom(worst.cable).formula}`,
      source: HEADROOM_SOURCE,
      advice: fits ? '' : 'Packets are lost after each pause. Set the true cable length, or the xoff of the profile.',
    },
  ];
}
