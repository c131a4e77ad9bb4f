import { magnitude } from '../model/units.ts';
import { bytes, counted } from './amount.ts';
import { atLeast, atMost, type Finding } from './finding.ts';
import { HEADROOM_SOURCE, headroom } from './headroom.ts';
import type { LintedCable, LintedFabric } from './linted-fabric.ts';

/**
 * Headroom inside the sites: of each cable against what is declared, and of all lossless ports of a switch together against its
 * buffer. Cables of the same rate and length are one finding.
 */
export function losslessPorts({ links, spans, switches, settings }: LintedFabric): readonly Finding[] {
  const { pfc, bufferPerSwitch } = settings;
  if (pfc === undefined || pfc === null) return [];
  const declared = pfc.headroom === undefined ? undefined : magnitude(pfc.headroom);
  const found: Finding[] = [];
  for (const alike of byKind(links)) {
    const [first] = alike as [LintedCable];
    const room = headroom(first);
    if (declared === undefined || declared >= room.bytes) continue;
    found.push({
      subject: { kind: 'link', name: alike.length === 1 ? first.name : `${first.name} and ${alike.length - 1} alike` },
      check: 'PFC headroom',
      severity: 'error',
      value: bytes(declared),
      needed: atLeast(bytes(room.bytes)),
      formula: room.formula,
      source: HEADROOM_SOURCE,
      advice: `Declare pfc.headroom of ${bytes(room.bytes).text} or more, or leave it out: packets are lost after each pause.`,
    });
  }
  if (bufferPerSwitch === undefined) return found;
  const buffer = magnitude(bufferPerSwitch);
  const lossless = [...links, ...(pfc.overSpans === true ? spans : [])];
  for (const name of switches) {
    const here = lossless.filter(({ ends }) => ends.some(({ device }) => device === name));
    const all = here.reduce((sum, cable) => sum + (declared ?? headroom(cable).bytes), 0);
    if (all <= buffer) continue;
    found.push({
      subject: { kind: 'device', name },
      check: 'headroom of all ports',
      severity: 'error',
      value: bytes(all),
      needed: atMost(bytes(buffer)),
      formula: `${counted(here.length, 'lossless ports').text}, together ${bytes(all).text} of a buffer of ${bytes(buffer).text}`,
      source: HEADROOM_SOURCE,
      advice: 'Fewer lossless ports, a larger buffer, or no PFC over the spans of this switch.',
    });
  }
  return found;
}

function byKind(cables: readonly LintedCable[]): readonly (readonly LintedCable[])[] {
  const kinds = new Map<string, LintedCable[]>();
  for (const cable of cables) {
    const kind = `${cable.rateBps} ${cable.metres}`;
    kinds.set(kind, [...(kinds.get(kind) ?? []), cable]);
  }
  return [...kinds.values()];
}
