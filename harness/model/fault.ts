import type { Link, Span, SwitchNode } from './topology.ts';
import type { Distance, Duration, Share } from './units.ts';

/** Which way of a span: from its first end to its second, back, or both. */
export type Direction = 'both' | 'a-to-b' | 'b-to-a';

/** `lost`: both ends see the port go down. `kept`: the light stays on and only frames vanish (a silent fault). */
export type Light = 'lost' | 'kept';

/** What goes wrong, as data. A binding decides how: a shaper, an admin-down port, or one line in the simulator. */
export type Fault =
  | { readonly kind: 'span-cut'; readonly span: Span; readonly direction: Direction; readonly light: Light }
  | {
      readonly kind: 'span-flap';
      readonly span: Span;
      readonly every: Duration;
      readonly down: Duration;
      readonly light: Light;
    }
  | {
      readonly kind: 'span-degrade';
      readonly span: Span;
      readonly direction: Direction;
      /** Share of packets lost, or bit error ratio after FEC. */
      readonly amount: { readonly loss: Share } | { readonly ber: number };
    }
  | {
      readonly kind: 'protection-switch';
      readonly span: Span;
      readonly outage: Duration;
      /** What the protection path is longer. */
      readonly detour: Distance;
    }
  | { readonly kind: 'link-down'; readonly link: Link }
  | { readonly kind: 'switch-reboot'; readonly switch: SwitchNode; readonly takes: Duration };

export type FaultKind = Fault['kind'];

/** How far a fault reaches, from least to most: one cable or fibre, or a whole device with everything that is cabled to it. */
export const BLASTS = ['link', 'device'] as const;
export type Blast = (typeof BLASTS)[number];

/** Whether one reach is beyond another. */
export const beyond = (a: Blast, b: Blast): boolean => BLASTS.indexOf(a) > BLASTS.indexOf(b);
