import type { DoctorLine } from './doctor-line.ts';

/** What one device runs. */
export interface Version {
  readonly device: string;
  /** Devices of one kind are compared: `sonic leaf`. */
  readonly kind: string;
  readonly software: string;
}

/** Like devices should run alike: a difference between two runs is then not one between two releases. Pure. */
export function checkVersions(versions: readonly Version[]): readonly DoctorLine[] {
  const kinds = [...new Set(versions.map(({ kind }) => kind))];
  return kinds.map((kind): DoctorLine => {
    const of = versions.filter(version => version.kind === kind);
    const releases = [...new Set(of.map(({ software }) => software))].map(software => ({
      software,
      devices: of.filter(version => version.software === software).map(({ device }) => device),
    }));
    const [first] = releases.toSorted((a, b) => b.devices.length - a.devices.length);
    if (!first || releases.length === 1)
      return {
        subject: 'versions',
        check: 'versions',
        ok: true,
        detail: `${of.length} ${kind}: ${first?.software ?? ''}`,
      };
    const odd = releases.filter(release => release !== first);
    return {
      subject: 'versions',
      check: 'versions',
      ok: false,
      detail: `${kind}: ${first.devices.length} run ${first.software}; ${odd.map(({ software, devices }) => `${devices.join(', ')} ${devices.length === 1 ? 'runs' : 'run'} ${software}`).join('; ')}`,
      fix: `Bring them to one release, so that what differs between them is not the release.`,
    };
  });
}
