import { parseArgs } from 'node:util';
import { disagreement } from './published/comparison.ts';
import { themis, type ThemisLoad } from './published/themis.ts';

/*
 * npx tsx bench/themis.ts [--load 30,50,70] [--train 1] [--seed 7] [--folder DIR]
 * Prints THEMIS's published slowdowns beside ours, and what it cost. Minutes of CPU.
 */
const { values } = parseArgs({
  options: {
    load: { type: 'string', default: '30,50,70' },
    train: { type: 'string', default: '1' },
    seed: { type: 'string', default: '7' },
    folder: { type: 'string' },
  },
});
const loads = values.load.split(',').map(Number);
for (const load of loads) {
  if (load !== 30 && load !== 50 && load !== 70) throw new RangeError(`Load ${load}: 30, 50 and 70 have files.`);
  const before = process.cpuUsage();
  const comparison = themis({
    load: load satisfies ThemisLoad,
    seed: Number(values.seed),
    trainPackets: Number(values.train),
    ...(values.folder !== undefined && { folder: values.folder }),
  });
  console.log(comparison.title);
  for (const row of await comparison.rows()) {
    const wrong = disagreement(row);
    console.log(
      `  ${row.what.padEnd(64)} ${String(row.published).padStart(12)} ${Number.isNaN(row.ours) ? 'not built' : row.ours.toPrecision(5)} ${row.unit}${wrong === undefined ? '' : `  WRONG: ${wrong}`}`,
    );
  }
  const { user, system } = process.cpuUsage(before);
  console.log(`  ${((user + system) / 1e6).toFixed(1)} CPU s`);
}
