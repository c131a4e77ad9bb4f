import { magnitude } from '../model/units.ts';
import { bitRate, bytes, duration, share, words } from './amount.ts';
import { atMost, type Judged, undeclared } from './finding.ts';
import type { DeclaredSettings } from './linted-fabric.ts';
import type { LongWay } from './long-way.ts';

/** What ECN thresholds are declared for, unless `scaleThresholds` is off. */
const DECLARED_BPS = 100e9;
const DCQCN_SOURCE =
  'Zhu et al., SIGCOMM 2015, section 3 (timers); Zhu et al., CoNEXT 2016 (unstable with feedback that is 85 us old)';

/** Congestion control against the RTT: how late a mark is answered, and where marking begins. */
export function feedback(way: LongWay, settings: DeclaredSettings): readonly Judged[] {
  return [...dcqcn(way, settings), ...marking(way, settings)];
}

function dcqcn({ rttNs }: LongWay, { dcqcn: law, transport }: DeclaredSettings): readonly Judged[] {
  const check = 'DCQCN feedback';
  // Another law than DCQCN has its own loop; its timers are in its own file.
  if (law === null || (transport !== undefined && transport.control !== 'dcqcn')) return [];
  if (law === undefined)
    return [
      undeclared(check, 'dcqcn (null for none)', {
        needed: null,
        formula: `a CNP is back ${duration(rttNs).text} after its mark`,
        source: DCQCN_SOURCE,
      }),
    ];
  const [increaseNs, alphaNs, cnpNs] = [law.increaseTimer, law.alphaTimer, law.cnpInterval].map(magnitude) as [
    number,
    number,
    number,
  ];
  const late = rttNs > increaseNs;
  const left = (1 - law.g) ** (rttNs / alphaNs);
  return [
    {
      check,
      severity: late ? 'warning' : 'ok',
      value: duration(rttNs),
      needed: atMost(duration(increaseNs)),
      formula:
        `one RTT is ${times(rttNs / increaseNs)} the increase timer ${law.increaseTimer} and ${times(rttNs / cnpNs)} the CNP interval ${law.cnpInterval}; ` +
        `alpha falls to (1 - ${Number(law.g.toPrecision(3))})^${Math.round(rttNs / alphaNs)} = ${share(left).text} of itself before the first CNP is back`,
      source: DCQCN_SOURCE,
      advice: late
        ? `The sender has raised its rate ${Math.floor(rttNs / increaseNs)} times before it hears of a mark. Take timers of this RTT between sites, or a law that knows it (transport.control 'distance-aware').`
        : '',
    },
  ];
}

const times = (ratio: number): string => `${Number(ratio.toPrecision(3))} x`;

function marking(
  { rateBps, bdpBytes }: LongWay,
  { ecn, switching, bufferPerSwitch }: DeclaredSettings,
): readonly Judged[] {
  const check = 'ECN Kmax';
  const source = 'HPCC artefact (run.py): thresholds grow with the port rate; BDP: RFC 6349';
  const bdp = bytes(bdpBytes);
  if (ecn === undefined)
    return [
      undeclared(check, 'ecn (null for none)', { needed: null, formula: `Kmax against a BDP of ${bdp.text}`, source }),
    ];
  if (ecn === null)
    return [
      {
        check,
        severity: 'info',
        value: words('off'),
        needed: null,
        formula: `no marks: what is sent too much in one RTT, up to ${bdp.text}, is first seen as loss`,
        source,
        advice: '',
      },
    ];
  const own = ecn.perRate?.find(({ rate }) => magnitude(rate) === rateBps);
  const scale = own === undefined && switching?.scaleThresholds !== false ? rateBps / DECLARED_BPS : 1;
  const most = magnitude((own ?? ecn).max) * scale;
  const buffer = bufferPerSwitch === undefined ? undefined : magnitude(bufferPerSwitch);
  const beyond = buffer !== undefined && most > buffer;
  return [
    {
      check,
      severity: beyond ? 'warning' : 'info',
      value: bytes(most),
      needed: beyond ? atMost(bytes(buffer)) : null,
      formula:
        `${(own ?? ecn).max}${scale === 1 ? '' : ` x ${bitRate(rateBps).text} / 100 Gb/s`} = ${share(most / bdpBytes).text} of the BDP of ${bdp.text}` +
        (buffer === undefined ? '' : `; the buffer of ${bytes(buffer).text} is ${share(buffer / bdpBytes).text} of it`),
      source,
      advice: beyond ? 'The queue is full before every packet is marked: lower Kmax.' : '',
    },
  ];
}
