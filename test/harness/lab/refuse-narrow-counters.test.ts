import t from 'tap';
import { TestbedUnavailable } from '../../../harness/binding/binding.ts';
import type { OctetWidth, Switch } from '../../../harness/binding/switch.ts';
import type { OpenLab } from '../../../harness/lab/open-lab.ts';
import { refuseNarrowCounters } from '../../../harness/lab/refuse-narrow-counters.ts';
import { fabric } from '../hand-made-run.ts';

/** A lab of one leaf whose ports are 100 Gb/s in the topology. */
function labOf(widths: Switch['widths'], topology = fabric()): OpenLab {
  return {
    topology,
    solution: {
      devices: new Map([['a-leaf-1', 'rack-7']]),
      portsOf: () => ['up1', 'up2', 'host1', 'host2'].map((name, i) => ({ name, port: `Ethernet${4 * i}` })),
    },
    switches: new Map([['a-leaf-1', { ...(widths && { widths }) } as unknown as Switch]]),
  } as unknown as OpenLab;
}

const allOf =
  (width: OctetWidth): Switch['widths'] =>
  async ports =>
    new Map(ports.map(port => [port, width]));

void t.test('32-bit octet counters of a fast port are refused, with their wrap time and what to do', async t => {
  const refusal = await refuseNarrowCounters(labOf(allOf({ bits: 32, rateBps: 400e9 }))).then(
    () => undefined,
    (error: unknown) => error,
  );
  t.type(refusal, TestbedUnavailable);
  t.match(
    (refusal as Error).message,
    /rack-7: reading ifHCInOctets and ifHCOutOctets over SNMP failed: Ethernet0, Ethernet4, Ethernet8 and 1 more count octets in 32 bits only, which wrap every 85\.9 ms at 400 Gb\/s/,
  );
  t.match((refusal as Error).message, /1\.3\.6\.1\.2\.1\.31.*v2c or v3/);
});

void t.test('the rate is what the device or the topology says, whichever is more', async t => {
  await t.rejects(refuseNarrowCounters(labOf(allOf({ bits: 32, rateBps: null }))), /wrap every 343\.6 ms at 100 Gb\/s/);
  const slow = { ...fabric(), links: fabric().links.map(link => ({ ...link, rate: '500 Mb/s' as const })) };
  await t.resolves(refuseNarrowCounters(labOf(allOf({ bits: 32, rateBps: 500e6 }), slow)));
  await t.rejects(refuseNarrowCounters(labOf(allOf({ bits: 32, rateBps: 1e9 }), slow)), /at 1 Gb\/s/);
});

void t.test('64 bits, and a switch without an agent that could cut them, are taken', async t => {
  await t.resolves(refuseNarrowCounters(labOf(allOf({ bits: 64, rateBps: 800e9 }))));
  await t.resolves(refuseNarrowCounters(labOf(undefined)));
});
