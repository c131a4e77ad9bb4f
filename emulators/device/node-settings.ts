import type { LinuxFiles } from './linux-files.ts';
import { fail, type ShellResult, succeed } from './small-shell.ts';

/** What people set on a GPU node's GPU and NIC. It is kept and shown; the data plane has no model of it. */
export interface NodeSettings {
  /** `nvidia-smi -pl|-pm|-c`. Undefined: another form of the program. */
  nvidiaSmi(words: readonly string[]): ShellResult | undefined;
  /** Fields of `--query-gpu` that are settings. */
  gpuFields(): Readonly<Record<string, string>>;
  /** `ethtool -a|-A|-k|-K eth0`. Undefined: another form of the program. */
  ethtool(words: readonly string[]): ShellResult | undefined;
  mlnxQos(words: readonly string[]): ShellResult;
  /** As after a boot. */
  reset(): void;
}

/** Of an H200 SXM: watts that it takes as a limit (nvidia-smi -q -d POWER). */
const POWER_W = { least: 200, most: 700 };
const COMPUTE_MODES: Readonly<Record<string, string>> = {
  0: 'Default',
  2: 'Prohibited',
  3: 'Exclusive_Process',
  DEFAULT: 'Default',
  PROHIBITED: 'Prohibited',
  EXCLUSIVE_PROCESS: 'Exclusive_Process',
};
/** Long names and their short forms for `-K`. */
const OFFLOADS: Readonly<Record<string, string>> = {
  'rx-checksumming': 'rx',
  'tx-checksumming': 'tx',
  'scatter-gather': 'sg',
  'tcp-segmentation-offload': 'tso',
  'generic-segmentation-offload': 'gso',
  'generic-receive-offload': 'gro',
};
const NIC = 'eth0';
const ECN = `/sys/class/net/${NIC}/ecn`;
/** Defaults of DCQCN in the mlx5 driver. */
const DCQCN: Readonly<Record<string, string>> = {
  'roce_np/cnp_dscp': '48',
  'roce_np/min_time_between_cnps': '4',
  'roce_rp/rpg_time_reset': '300',
  'roce_rp/rpg_byte_reset': '32767',
  'roce_rp/rpg_ai_rate': '5',
  'roce_rp/rpg_gd': '11',
  ...Object.fromEntries(
    ['roce_np', 'roce_rp'].flatMap(side =>
      Array.from({ length: 8 }, (_, priority) => [`${side}/enable/${priority}`, '1']),
    ),
  ),
};

export function nodeSettings({ bus, files }: { readonly bus: string; readonly files: () => LinuxFiles }): NodeSettings {
  const gpu = { powerW: 700, persistence: true, compute: 'Default' };
  const pause = { autoneg: 'off', rx: 'off', tx: 'off' };
  const offloads = new Map<string, string>();
  const qos = { trust: 'dscp', pfc: [0, 0, 0, 1, 0, 0, 0, 0] };
  const reset = (): void => {
    Object.assign(gpu, { powerW: 700, persistence: true, compute: 'Default' });
    Object.assign(pause, { autoneg: 'off', rx: 'off', tx: 'off' });
    Object.assign(qos, { trust: 'dscp', pfc: [0, 0, 0, 1, 0, 0, 0, 0] });
    for (const name of Object.keys(OFFLOADS)) offloads.set(name, 'on');
    for (const [file, value] of Object.entries(DCQCN)) {
      const path = `${ECN}/${file}`;
      files().makeFolder(path.slice(0, path.lastIndexOf('/')), true);
      files().write(path, `${value}\n`);
    }
  };

  const setGpu = ([flag, value = '']: readonly string[]): ShellResult | undefined => {
    const done = (what: string): ShellResult => succeed(`${what} for GPU ${bus}.\nAll done.\n`);
    if (flag === '-pl') {
      const watts = /^\d{1,5}(\.\d{1,2})?$/.test(value) ? Number(value) : Number.NaN;
      if (!(watts >= POWER_W.least && watts <= POWER_W.most))
        return fail(
          3,
          `Provided power limit ${value.slice(0, 20)} W is not a valid power limit which should be between ${POWER_W.least.toFixed(2)} W and ${POWER_W.most.toFixed(2)} W for GPU ${bus}\nTerminating early due to previous errors.`,
        );
      const before = gpu.powerW;
      gpu.powerW = watts;
      return succeed(
        `Power limit for GPU ${bus} was set to ${watts.toFixed(2)} W from ${before.toFixed(2)} W.\nAll done.\n`,
      );
    }
    if (flag === '-pm' && (value === '0' || value === '1')) {
      gpu.persistence = value === '1';
      return done(`${value === '1' ? 'Enabled' : 'Disabled'} persistence mode`);
    }
    if (flag === '-c' && Object.hasOwn(COMPUTE_MODES, value)) {
      gpu.compute = COMPUTE_MODES[value] as string;
      return done(`Set compute mode to ${value}`);
    }
    return undefined;
  };

  const noDevice = (): ShellResult =>
    fail(1, 'netlink error: no device matches name (offset 24)\nnetlink error: No such device');
  return {
    nvidiaSmi: words => setGpu(words[0] === '-i' && words[1] === '0' ? words.slice(2) : words),
    gpuFields: () => ({
      'power.limit': `${gpu.powerW.toFixed(2)} W`,
      'clocks.applications.graphics': '[Not Supported]',
      'clocks.applications.memory': '[Not Supported]',
      'clocks.max.graphics': '1980 MHz',
      'clocks.max.sm': '1980 MHz',
      'clocks.max.memory': '3201 MHz',
      persistence_mode: gpu.persistence ? 'Enabled' : 'Disabled',
      compute_mode: gpu.compute,
      'ecc.mode.current': 'Enabled',
      'mig.mode.current': 'Disabled',
    }),
    ethtool([flag, nic, name = '', value = '']) {
      if (flag === undefined || !['-a', '-A', '-k', '-K'].includes(flag)) return undefined;
      if (nic !== NIC) return noDevice();
      if (flag === '-a')
        return succeed(
          `Pause parameters for ${nic}:\nAutonegotiate:\t${pause.autoneg}\nRX:\t\t${pause.rx}\nTX:\t\t${pause.tx}\n\n`,
        );
      if (flag === '-k')
        return succeed(`Features for ${nic}:\n${[...offloads].map(([key, on]) => `${key}: ${on}\n`).join('')}`);
      if (value !== 'on' && value !== 'off') return fail(1, 'ethtool: bad command line argument(s)');
      if (flag === '-A' && (name === 'rx' || name === 'tx')) {
        pause[name] = value;
        return succeed();
      }
      const long = Object.keys(OFFLOADS).find(key => key === name || OFFLOADS[key] === name);
      if (flag !== '-K' || long === undefined) return fail(1, 'ethtool: bad command line argument(s)');
      offloads.set(long, value);
      return succeed();
    },
    mlnxQos(words) {
      const [flag, nic, setting, value = ''] = words;
      if (flag !== '-i' || nic !== NIC) return fail(1, 'Interface name is required');
      if (setting === '--pfc' && /^[01](,[01]){7}$/.test(value)) qos.pfc = value.split(',').map(Number);
      else if (setting === '--trust' && (value === 'pcp' || value === 'dscp')) qos.trust = value;
      else if (setting !== undefined) return fail(2, `mlnx_qos: error: no such option: ${setting.slice(0, 100)}`);
      return succeed(
        [
          'DCBX mode: OS controlled',
          `Priority trust state: ${qos.trust}`,
          'PFC configuration:',
          '\tpriority    0   1   2   3   4   5   6   7',
          `\tenabled     ${qos.pfc.join('   ')}   `,
          `\tbuffer      ${qos.pfc.join('   ')}   `,
          ...Array.from({ length: 8 }, (_, tc) => `tc: ${tc} ratelimit: unlimited, tsa: vendor\n\t priority:  ${tc}`),
          '',
        ].join('\n'),
      );
    },
    reset,
  };
}
