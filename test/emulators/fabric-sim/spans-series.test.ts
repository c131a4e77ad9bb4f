import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import type { TappedPacket } from '../../../emulators/fabric-sim/fabric/tapped-packet.ts';
import { sitePair, star, US } from './small-fabrics.ts';

const ROOT = path.resolve(import.meta.dirname, '../../..');

/** 4096 B and 82 B of headers and gap at 100 Gb/s; an acknowledgement of 86 B. */
const FULL_PS = 4178 * 80;
const ACK_PS = 86 * 80;

// ---- taps ----------------------------------------------------------------------------------------------------------

t.test('a tap shows each packet of a port as it is sent and as it has come in', async t => {
  const network = star(2);
  const seen: TappedPacket[] = [];
  const end = network.tap?.('s', 'p1', packet => seen.push({ ...packet }));
  const flow = network.flow({ source: 'h0', target: 'h1', entropy: 50_001, bytes: 2 * 4096 + 1 });
  network.advance(20 * US);
  // First bit out of the switch when the packet is in: its time on the wire and 1 us of cable; the last packet is 83 B.
  const data = { kind: 'data', source: 'h0', target: 'h1', entropy: 50_001, ecn: 'ect', priority: 3, direction: 'out' };
  t.match(seen.slice(0, 3), [
    { ...data, atPs: FULL_PS + US, sequence: 0, payloadBytes: 4096, wireBytes: 4178 },
    { ...data, atPs: 2 * FULL_PS + US, sequence: 4096, payloadBytes: 4096, wireBytes: 4178 },
    // It waits behind the second, which is still being sent.
    { ...data, atPs: 3 * FULL_PS + US, sequence: 8192, payloadBytes: 1, wireBytes: 83 },
  ]);
  const backPs = 3 * FULL_PS + 83 * 80 + 2 * US + ACK_PS + US;
  t.match(seen.slice(3), [
    { kind: 'ack', source: 'h1', target: 'h0', entropy: 50_001, direction: 'in', atPs: backPs, sequence: 8193 },
  ]);
  t.equal(seen.length, 4, 'and nothing else');
  end?.();
  flow.send(4096);
  network.datagrams({ source: 'h0', target: 'h1', entropy: 7, bytes: 100, packetsPerSecond: 1e6 });
  network.advance(30 * US);
  t.equal(seen.length, 4, 'a tap that was ended shows nothing');
  network.tap?.('h1', 'eth0', packet => seen.push({ ...packet }));
  network.advance(31 * US);
  t.match(seen[4], { kind: 'datagram', source: 'h0', entropy: 7, payloadBytes: 100, wireBytes: 166, direction: 'in' });
  t.throws(() => network.tap?.('s', 'p9', () => {}), /s has no port p9/);
});

t.test('a tap shows a train as one packet that is in when its last bit is', async t => {
  const network = star(2, { trainPackets: 4 });
  const seen: TappedPacket[] = [];
  network.tap?.('s', 'p0', packet => seen.push({ ...packet }));
  network.flow({ source: 'h0', target: 'h1', entropy: 1, bytes: 4 * 4096 });
  network.advance(20 * US);
  t.match(seen[0], { kind: 'data', payloadBytes: 4 * 4096, wireBytes: 4 * 4178, atPs: 4 * FULL_PS + US });
});

t.test('a tap of selective repeat shows bytes, and what a span loses at its sender only', async t => {
  const settings = {
    transport: { control: 'none', recovery: 'selective-repeat' },
  } as const;
  const network = sitePair({ length: '10 km', settings });
  const [sent, arrived]: TappedPacket[][] = [[], []];
  network.tap?.('x', 'span', packet => packet.kind === 'data' && sent?.push({ ...packet }));
  network.tap?.('y', 'span', packet => packet.direction === 'in' && arrived?.push({ ...packet }));
  network.setSpan('long', 'a-to-b', { lossEvery: 3 });
  network.flow({ source: 'a0', target: 'b0', entropy: 9, bytes: 4 * 4096 });
  network.advance(200 * US);
  t.same(
    sent?.slice(0, 4).map(({ sequence }) => sequence),
    [0, 4096, 8192, 12_288],
  );
  t.same(
    arrived?.slice(0, 3).map(({ sequence }) => sequence),
    [0, 4096, 12_288],
  );
});

/** The frames of a pcap file: time, length on the wire, UDP source port, PSN and opcode. */
function framesOf(bytes: Buffer) {
  t.equal(bytes.readUInt32LE(0), 0xa1b23c4d, 'nanoseconds');
  const frames = [];
  for (let at = 24; at < bytes.length; ) {
    const kept = bytes.readUInt32LE(at + 8);
    const frame = bytes.subarray(at + 16, at + 16 + kept);
    frames.push({
      ns: bytes.readUInt32LE(at) * 1e9 + bytes.readUInt32LE(at + 4),
      bytes: bytes.readUInt32LE(at + 12),
      port: frame.readUInt16BE(34),
      opcode: frame.readUInt8(42),
      psn: frame.readUIntBE(51, 3),
    });
    at += 16 + kept;
  }
  return frames;
}

t.test('farspan trace captures a port of a replayed trace in a pcap file', async t => {
  const folder = t.testdir({
    matrix: 'Nodes 4\nConnections 1\n0->1 id 1 start 0 size 8192\n',
    topology:
      'Nodes 4\nTiers 2\nPodsize 4\nTier 0\nDownlink_speed_Gbps 100\nRadix_Down 2\nRadix_Up 2\nDownlink_Latency_ns 1000\n' +
      'Tier 1\nDownlink_speed_Gbps 100\nRadix_Down 2\nDownlink_Latency_ns 1000\n',
  });
  const file = path.join(folder, 'h1.pcap');
  const job = {
    htsim: path.join(folder, 'matrix'),
    topo: path.join(folder, 'topology'),
    pcap: [`h1:eth0=${file}`],
    delay: [],
    seed: 1,
    seeds: 1,
    train: 1,
  };
  const program = path.join(ROOT, 'emulators/fabric-sim/traces/main.ts');
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), program, JSON.stringify(job)],
    { encoding: 'utf8', timeout: 60_000 },
  );
  t.equal(status, 0, stderr);
  t.match(stdout, /h1\.pcap: 4 packets/);
  // 4160 B at 100 Gb/s are 332.8 ns; two cables of 1 us and one switch. htsim acknowledges every packet with 64 B at once.
  const [port] = framesOf(readFileSync(file)).map(frame => frame.port);
  t.same(framesOf(readFileSync(file)), [
    { ns: 2665, bytes: 4160, port, opcode: 0x07, psn: 0 },
    { ns: 2665, bytes: 64, port, opcode: 0x11, psn: 1 },
    { ns: 2998, bytes: 4160, port, opcode: 0x07, psn: 1 },
    { ns: 2998, bytes: 64, port, opcode: 0x11, psn: 2 },
  ]);
});
