// Runs inside the page of a sweep. Draws a KPI against a parameter with uPlot: a mark for each cell, the mean, its band, the limit.
// Nothing here makes markup from text: names reach the page as `textContent` or on a canvas.
(() => {
  'use strict';

  const data = JSON.parse(document.getElementById('data').textContent);
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const plots = [];

  const INKS = {
    light: ['#0b62c4', '#c2410c', '#0a7f5a', '#8b2fc9', '#a16207', '#c81e6a', '#0e7490', '#57534e'],
    dark: ['#6db3ff', '#ff9d5c', '#4fd6a5', '#cf9bff', '#f2c94c', '#ff86bd', '#5fd7ee', '#c9c3bd'],
  };
  // Beside its colour each line has its own dash, so lines differ in print and for every eye. The limit's dash is none of these.
  const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3], [14, 4], [5, 2], [2, 6], [9, 3, 2, 3, 2, 3]];
  const LIMIT_DASH = [4, 4];
  const TONES = {
    pass: '--pass',
    fail: '--fail',
    error: '--fail',
    inconclusive: '--doubt',
    invalid: '--invalid',
    'not run': '--idle',
  };
  const SIGNS = { pass: '✓', 'not run': '–', inconclusive: '?', invalid: '⊘', fail: '✗', error: '!' };
  const HEIGHT = 340;
  /** From here on a y axis of values above 0 is easier to read with decades. */
  const LOG_Y_FROM = 100;

  const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const number = value => String(Number(value.toPrecision(4)));
  const FACE = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif';
  const FONT = `12px ${FACE}`;

  /** Lines of one place do not hide each other: each is moved by so many CSS pixels. */
  const dodge = (i, count) => (i - (count - 1) / 2) * Math.min(9, 40 / count);

  const isNumber = value => typeof value === 'number';

  function xRange({ kind, ticks }) {
    const xs = ticks.map(({ x }) => x);
    const [least, most] = [Math.min(...xs), Math.max(...xs)];
    if (kind === 'category') return [least - 0.5, most + 0.5];
    if (kind === 'log') {
      const pad = Math.max(1.2, (most / least) ** 0.06);
      return [least / pad, most * pad];
    }
    const pad = (most - least) * 0.06 || Math.abs(most) * 0.1 || 1;
    return [least - pad, most + pad];
  }

  /** The next 1, 2 or 5 of a decade, down or up. */
  function decade(value, side) {
    const power = 10 ** Math.floor(Math.log10(value));
    const steps = [1, 2, 5, 10];
    const share = value / power;
    const step =
      side === Math.floor ? steps.findLast(one => one <= share * 1.000001) : steps.find(one => one >= share * 0.999999);
    return (step ?? 1) * power;
  }

  /** Everything that is drawn must be in sight. */
  function yRange(figure) {
    const all = figure.lines
      .flatMap(({ stops }) =>
        stops.flatMap(({ mean, u, limit, upper, points }) => [
          ...points.map(({ value }) => value),
          limit,
          upper,
          ...(isNumber(mean) ? [mean, mean + (u ?? 0), mean - (u ?? 0)] : []),
        ]),
      )
      .filter(isNumber);
    if (all.length === 0) return { log: false, range: [0, 1] };
    const values = figure.lines.flatMap(({ stops }) => stops.flatMap(({ points }) => points.map(({ value }) => value)));
    const real = values.filter(isNumber);
    const [least, most] = [Math.min(...real), Math.max(...real)];
    if (real.length > 0 && least > 0 && most / least >= LOG_Y_FROM) {
      const seen = all.filter(value => value > 0);
      return {
        log: true,
        range: [decade(Math.min(...seen) / 1.1, Math.floor), decade(Math.max(...seen) * 1.1, Math.ceil)],
      };
    }
    const [low, high] = [Math.min(0, ...all), Math.max(...all)];
    return { log: false, range: [low < 0 ? low * 1.08 : 0, high * 1.08 || 1] };
  }

  function mark(ctx, outcome, x, y, ink) {
    const px = devicePixelRatio;
    const r = 4.2 * px;
    ctx.lineWidth = 1.6 * px;
    ctx.setLineDash([]);
    ctx.beginPath();
    if (outcome === 'pass') {
      ctx.arc(x, y, r * 0.85, 0, 2 * Math.PI);
      ctx.fillStyle = ink;
      ctx.fill();
      ctx.strokeStyle = css('--sheet');
      ctx.lineWidth = px;
      ctx.stroke();
      return;
    }
    if (outcome === 'fail') {
      // The halo keeps a cross legible on its own line.
      for (const [width, colour] of [
        [5 * px, css('--sheet')],
        [2.4 * px, css('--fail')],
      ]) {
        ctx.beginPath();
        ctx.lineWidth = width;
        ctx.strokeStyle = colour;
        ctx.moveTo(x - r, y - r);
        ctx.lineTo(x + r, y + r);
        ctx.moveTo(x + r, y - r);
        ctx.lineTo(x - r, y + r);
        ctx.stroke();
      }
      return;
    }
    ctx.moveTo(x, y - r * 1.25);
    ctx.lineTo(x + r * 1.25, y);
    ctx.lineTo(x, y + r * 1.25);
    ctx.lineTo(x - r * 1.25, y);
    ctx.closePath();
    ctx.fillStyle = css('--sheet');
    ctx.fill();
    ctx.strokeStyle = css(TONES[outcome] ?? '--doubt');
    ctx.stroke();
  }

  const shownLine = (u, i) => u.series[i + 1]?.show !== false;

  function drawBelow(figure, inks) {
    return u => {
      const { ctx } = u;
      ctx.save();
      ctx.beginPath();
      ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
      ctx.clip();
      for (const [i, { stops }] of figure.lines.entries()) {
        if (!shownLine(u, i)) continue;
        const known = stops.filter(({ mean, u: own }) => isNumber(mean) && isNumber(own));
        const at = ({ x }) => u.valToPos(x, 'x', true);
        const bottom = u.scales.y.min;
        const edge = (stop, side) => u.valToPos(Math.max(bottom, stop.mean + side * stop.u), 'y', true);
        ctx.globalAlpha = 0.16;
        ctx.fillStyle = inks[i % inks.length];
        // Pieces between neighbours only: a place without a band breaks it.
        for (const [k, stop] of stops.entries()) {
          const next = stops[k + 1];
          if (!next || !known.includes(stop) || !known.includes(next)) continue;
          ctx.beginPath();
          ctx.moveTo(at(stop), edge(stop, 1));
          ctx.lineTo(at(next), edge(next, 1));
          ctx.lineTo(at(next), edge(next, -1));
          ctx.lineTo(at(stop), edge(stop, -1));
          ctx.fill();
        }
        // A whisker at each place: the band of a single place has no width of its own.
        ctx.globalAlpha = 0.75;
        ctx.strokeStyle = inks[i % inks.length];
        ctx.lineWidth = 1.4 * devicePixelRatio;
        for (const stop of known) {
          const x = at(stop) + dodge(i, figure.lines.length) * devicePixelRatio;
          const cap = 4 * devicePixelRatio;
          ctx.beginPath();
          ctx.moveTo(x, edge(stop, 1));
          ctx.lineTo(x, edge(stop, -1));
          for (const side of [1, -1]) {
            ctx.moveTo(x - cap, edge(stop, side));
            ctx.lineTo(x + cap, edge(stop, side));
          }
          ctx.stroke();
        }
      }
      ctx.restore();
    };
  }

  /** One limit for all lines where they share it, else one for each, in its ink. */
  function limitsOf(figure, inks) {
    const each = figure.lines.map(({ name, stops }, i) => ({
      name,
      i,
      stops: stops.filter(({ limit, upper }) => isNumber(limit) || isNumber(upper)),
    }));
    const key = ({ stops }) => JSON.stringify(stops.map(({ x, limit, upper }) => [x, limit, upper]));
    const shared = new Set(each.map(key)).size === 1;
    return (shared ? each.slice(0, 1) : each).map(({ i, stops }) => ({
      i: shared ? -1 : i,
      ink: shared ? css('--ink') : inks[i % inks.length],
      stops,
    }));
  }

  function drawAbove(figure, inks) {
    return u => {
      const labels = [];
      const { ctx } = u;
      const px = devicePixelRatio;
      const { left, top, width } = u.bbox;
      ctx.save();
      ctx.font = `${11 * px}px ${FACE}`;
      for (const { i, ink, stops } of limitsOf(figure, inks)) {
        if (i >= 0 && !shownLine(u, i)) continue;
        for (const side of ['limit', 'upper']) {
          const known = stops.filter(stop => isNumber(stop[side]));
          if (known.length === 0) continue;
          const place = stop => [u.valToPos(stop.x, 'x', true), u.valToPos(stop[side], 'y', true)];
          const path = known.map(place);
          // To both edges: a limit holds between the places as well.
          const [[, firstY]] = path;
          const [, lastY] = path.at(-1);
          ctx.beginPath();
          ctx.setLineDash(LIMIT_DASH.map(length => length * px));
          ctx.strokeStyle = ink;
          ctx.lineWidth = 1.5 * px;
          ctx.moveTo(left, firstY);
          for (const [x, y] of path) ctx.lineTo(x, y);
          ctx.lineTo(left + width, lastY);
          ctx.stroke();
          ctx.setLineDash([]);
          const sign = side === 'upper' || figure.comparison === 'at most' ? '≤' : '≥';
          labels.push({ text: `${sign} ${number(known.at(-1)[side])}`, ink, y: lastY });
        }
      }
      // Beside the plot, where no line is in their way; apart from each other.
      ctx.textAlign = 'left';
      ctx.textBaseline = 'middle';
      let below = -Infinity;
      for (const { text, ink, y } of labels.sort((a, b) => a.y - b.y)) {
        below = Math.max(y, below + 14 * px);
        ctx.fillStyle = ink;
        ctx.fillText(text, left + width + 6 * px, below);
      }
      const missing = new Map();
      for (const [i, { stops }] of figure.lines.entries()) {
        if (!shownLine(u, i)) continue;
        const move = dodge(i, figure.lines.length) * px;
        for (const { x, points } of stops) {
          const at = u.valToPos(x, 'x', true) + move;
          for (const { outcome, value } of points) {
            if (isNumber(value)) mark(ctx, outcome, at, u.valToPos(value, 'y', true), inks[i % inks.length]);
            else {
              const here = missing.get(x) ?? {};
              missing.set(x, { ...here, [outcome]: (here[outcome] ?? 0) + 1 });
            }
          }
        }
      }
      // No value is no zero: such cells stand above the plot, with their sign and how many they are.
      ctx.font = `700 ${12 * px}px ${FACE}`;
      ctx.textAlign = 'center';
      ctx.textBaseline = 'middle';
      for (const [x, outcomes] of missing) {
        for (const [row, [outcome, count]] of Object.entries(outcomes).entries()) {
          ctx.fillStyle = css(TONES[outcome] ?? '--doubt');
          const words = `${SIGNS[outcome] ?? '?'}${count > 1 ? ` ×${count}` : ''}`;
          ctx.fillText(words, u.valToPos(x, 'x', true), top - (12 + row * 15) * px);
        }
      }
      if (missing.size > 0) {
        ctx.font = `${11 * px}px ${FACE}`;
        ctx.textAlign = 'right';
        ctx.textBaseline = 'middle';
        ctx.fillStyle = css('--quiet');
        ctx.fillText('no value', left - 8 * px, top - 12 * px);
        ctx.strokeStyle = css('--line');
        ctx.lineWidth = px;
        ctx.beginPath();
        ctx.moveTo(left, top);
        ctx.lineTo(left + width, top);
        ctx.stroke();
      }
      ctx.restore();
    };
  }

  /** Ticks at the values that were played, as they were typed; those without room are left out. */
  function splits({ ticks, kind }) {
    return (u, _axis, min, max) => {
      const share = x => (kind === 'log' ? Math.log(x / min) / Math.log(max / min) : (x - min) / (max - min));
      const room = Math.max(1, u.bbox.width / devicePixelRatio);
      const widest = Math.max(...ticks.map(({ text }) => text.length)) * 7 + 12;
      const kept = [];
      for (const { x } of ticks) {
        const before = kept.at(-1);
        if (before === undefined || (share(x) - share(before)) * room >= Math.min(widest, 160)) kept.push(x);
      }
      return kept;
    };
  }

  const short = text => (text.length > 22 ? `${text.slice(0, 21)}…` : text);

  function optionsOf(figure, element) {
    const inks = INKS[dark.matches ? 'dark' : 'light'];
    const { log, range } = yRange(figure);
    const texts = new Map(figure.ticks.map(({ x, text }) => [x, text]));
    const stops = figure.lines.flatMap(line => line.stops);
    const rows = Math.max(
      0,
      ...figure.ticks.map(tick => {
        const here = stops.filter(({ x }) => x === tick.x).flatMap(({ points }) => points);
        return new Set(here.filter(({ value }) => !isNumber(value)).map(({ outcome }) => outcome)).size;
      }),
    );
    const axis = {
      stroke: css('--quiet'),
      font: FONT,
      labelFont: `600 ${FONT}`,
      grid: { stroke: css('--grid'), width: 1 },
      ticks: { stroke: css('--grid'), width: 1, size: 5 },
    };
    return {
      width: Math.max(260, element.querySelector('.canvas').clientWidth),
      height: HEIGHT,
      padding: [rows > 0 ? 10 + rows * 15 : 14, 78, 0, 0],
      cursor: { drag: { x: false, y: false }, points: { size: 8 } },
      legend: {
        live: true,
        markers: { width: 3, dash: (_, i) => ['solid', 'dashed', 'dotted'][Math.min((i - 1) % DASHES.length, 1)] },
      },
      scales: {
        x: { time: false, distr: figure.kind === 'log' ? 3 : 1, log: 10, auto: false, range: () => xRange(figure) },
        y: { distr: log ? 3 : 1, log: 10, range: () => range },
      },
      axes: [
        {
          ...axis,
          label: figure.xTitle,
          labelSize: 24,
          size: 34,
          splits: splits(figure),
          // uPlot leaves out labels of a logarithmic axis that are no powers; ours are the places themselves.
          filter: (_, found) => found,
          values: (_, found) => found.map(x => short(texts.get(x) ?? number(x))),
        },
        {
          ...axis,
          label: figure.yTitle,
          labelSize: 24,
          size: 66,
          values: (_, found) => found.map(v => (v === null ? '' : number(v))),
        },
      ],
      series: [
        {
          label: 'at',
          value: (_, value) => (value === null || value === undefined ? '—' : (texts.get(value) ?? number(value))),
        },
        ...figure.lines.map(({ name }, i) => ({
          label: name === '' ? 'mean' : name,
          stroke: inks[i % inks.length],
          width: 1.75,
          dash: DASHES[i % DASHES.length],
          spanGaps: false,
          points: { show: false },
          value: (_, value) => (value === null || value === undefined ? '—' : `${number(value)} ${figure.unit}`),
        })),
      ],
      hooks: { drawClear: [drawBelow(figure, inks)], draw: [drawAbove(figure, inks)] },
    };
  }

  function build() {
    for (const { u } of plots.splice(0)) u.destroy();
    for (const figure of data.figures) {
      const element = document.getElementById(`plot-${figure.id}`);
      const xs = figure.ticks.map(({ x }) => x);
      const columns = figure.lines.map(({ stops }) => {
        const means = new Map(stops.map(({ x, mean }) => [x, mean]));
        // A place that no cell of this line has played is skipped; one that has no value breaks the line.
        return xs.map(x => (means.has(x) ? means.get(x) : undefined));
      });
      const u = new uPlot(optionsOf(figure, element), [xs, ...columns], element.querySelector('.canvas'));
      plots.push({ u, element });
      for (const [i, head] of [...element.querySelectorAll('.u-legend .u-series > th')].entries()) {
        if (i === 0) continue;
        head.tabIndex = 0;
        head.setAttribute('role', 'button');
        head.title = 'show or hide this line';
        head.addEventListener('keydown', event => {
          if (event.key !== 'Enter' && event.key !== ' ') return;
          event.preventDefault();
          head.click();
        });
      }
    }
  }

  build();
  dark.addEventListener('change', build);

  const fit = width => {
    for (const { u, element } of plots)
      u.setSize({ width: width ?? Math.max(260, element.querySelector('.canvas').clientWidth), height: HEIGHT });
  };
  // A4 or Letter with margins is about 680 CSS pixels wide; a canvas does not shrink by itself.
  addEventListener('beforeprint', () => fit(680));
  addEventListener('afterprint', () => fit());

  let width = innerWidth;
  let pending = 0;
  addEventListener('resize', () => {
    if (innerWidth === width) return;
    width = innerWidth;
    cancelAnimationFrame(pending);
    pending = requestAnimationFrame(() => fit());
  });
})();
