// Runs inside a report. Draws the plots with uPlot, links their zoom, and switches the phase of the topology drawing.
// Nothing here makes markup from text: names reach the page as `textContent` or on a canvas.
(() => {
  'use strict';

  const data = JSON.parse(document.getElementById('data').textContent);
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const full = { min: 0, max: data.end };
  const plots = [];

  const INKS = {
    light: ['#0b62c4', '#c2410c', '#0a7f5a', '#8b2fc9', '#a16207', '#c81e6a', '#0e7490', '#57534e'],
    dark: ['#6db3ff', '#ff9d5c', '#4fd6a5', '#cf9bff', '#f2c94c', '#ff86bd', '#5fd7ee', '#c9c3bd'],
  };
  // Beside its colour each line has its own dash, so lines differ in print and for every eye.
  const DASHES = [[], [7, 4], [2, 3], [10, 3, 2, 3], [14, 4], [5, 2], [2, 6], [9, 3, 2, 3, 2, 3]];

  const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const number = value => (value === null || value === undefined ? 'no reading' : String(Number(value.toPrecision(4))));
  const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif';

  const clamp = ({ min, max }) => {
    const least = full.max / 1e6;
    const width = Math.min(full.max, Math.max(least, max - min));
    const from = Math.min(Math.max(0, min), full.max - width);
    return { min: from, max: from + width };
  };

  let current = full;

  /** One window for all plots. */
  function zoom(wanted) {
    current = clamp(wanted);
    for (const { u } of plots) {
      const { min, max } = u.scales.x;
      if (min !== current.min || max !== current.max) u.setScale('x', current);
    }
    const isAll = current.min <= 0 && current.max >= full.max;
    for (const button of document.querySelectorAll('[data-zoom]')) {
      const phase = data.phases[button.dataset.zoom];
      const same = phase
        ? Math.abs(phase.begin - current.min) + Math.abs(phase.end - current.max) < full.max * 1e-6
        : isAll;
      button.setAttribute('aria-pressed', String(same));
    }
    const shown = document.getElementById('window');
    if (shown) shown.textContent = `${number(current.min)} … ${number(current.max)} ${data.timeUnit}`;
  }

  /** A hatched box: the commanded interval of a fault, visible without colour. */
  function hatch(ctx, left, top, width, height) {
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, width, height);
    ctx.fillStyle = css('--fault-tint');
    ctx.fill();
    ctx.clip();
    ctx.strokeStyle = css('--fault-hatch');
    ctx.lineWidth = devicePixelRatio;
    const step = 9 * devicePixelRatio;
    ctx.beginPath();
    for (let x = left - height; x < left + width; x += step) {
      ctx.moveTo(x, top + height);
      ctx.lineTo(x + height, top);
    }
    ctx.stroke();
    ctx.restore();
  }

  function clippedText(ctx, text, left, top, room) {
    let shown = text;
    while (shown.length > 1 && ctx.measureText(shown === text ? shown : `${shown}…`).width > room)
      shown = shown.slice(0, -1);
    if (shown.length > 2 || shown === text) ctx.fillText(shown === text ? shown : `${shown}…`, left, top);
  }

  function drawBelow(u) {
    const { ctx } = u;
    const { left, top, width, height } = u.bbox;
    const right = left + width;
    const at = value => Math.min(right, Math.max(left, u.valToPos(value, 'x', true)));
    const px = devicePixelRatio;
    ctx.save();
    for (const { begin, end } of data.faults) {
      const [from, to] = [at(begin), at(end)];
      // A fault shorter than a pixel is still a fault.
      if (end >= u.scales.x.min && begin <= u.scales.x.max) hatch(ctx, from, top, Math.max(2 * px, to - from), height);
    }
    ctx.font = `${11 * px}px system-ui, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif`;
    ctx.textBaseline = 'bottom';
    for (const { name, begin, end } of data.phases) {
      const [from, to] = [at(begin), at(end)];
      if (to <= from) continue;
      ctx.strokeStyle = css('--phase');
      ctx.lineWidth = px;
      ctx.setLineDash([3 * px, 3 * px]);
      ctx.beginPath();
      ctx.moveTo(Math.round(from), top - 14 * px);
      ctx.lineTo(Math.round(from), top + height);
      ctx.stroke();
      ctx.setLineDash([]);
      ctx.fillStyle = css('--quiet');
      clippedText(ctx, name, from + 4 * px, top - 3 * px, to - from - 8 * px);
    }
    ctx.textBaseline = 'top';
    const lanes = [];
    for (const { name, begin, end } of data.faults) {
      if (end < u.scales.x.min || begin > u.scales.x.max) continue;
      const [from, to] = [at(begin), at(end)];
      const room = Math.max(to - from, 60 * px) - 8 * px;
      let lane = lanes.findIndex(until => until <= from);
      if (lane < 0) lane = lanes.length;
      lanes[lane] = from + room;
      if (lane > 3) continue;
      ctx.fillStyle = css('--fault');
      clippedText(ctx, `✕ ${name}`, from + 4 * px, top + (4 + lane * 14) * px, room);
    }
    ctx.restore();
  }

  function drawAbove(plot) {
    return u => {
      const { ctx } = u;
      const { left, width } = u.bbox;
      const px = devicePixelRatio;
      ctx.save();
      ctx.strokeStyle = css('--ink');
      ctx.fillStyle = css('--ink');
      ctx.lineWidth = 1.5 * px;
      ctx.setLineDash([6 * px, 3 * px]);
      ctx.font = `${11 * px}px system-ui, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif`;
      ctx.textBaseline = 'bottom';
      ctx.textAlign = 'right';
      for (const { begin, end, value, label } of plot.limits) {
        const from = Math.max(left, u.valToPos(begin, 'x', true));
        const to = Math.min(left + width, u.valToPos(end, 'x', true));
        if (to <= from) continue;
        const y = u.valToPos(value, 'y', true);
        ctx.beginPath();
        ctx.moveTo(from, y);
        ctx.lineTo(to, y);
        ctx.stroke();
        if (to - from < 80 * px) continue;
        // Halo, so that the words stand on any line. Below the limit when there is no room above it.
        const words = `${label} ${number(value)}`;
        const baseline = y - 3 * px < u.bbox.top + 14 * px ? y + 15 * px : y - 3 * px;
        ctx.save();
        ctx.setLineDash([]);
        ctx.lineJoin = 'round';
        ctx.lineWidth = 4 * px;
        ctx.strokeStyle = css('--sheet');
        ctx.strokeText(words, to - 5 * px, baseline);
        ctx.fillText(words, to - 5 * px, baseline);
        ctx.restore();
      }
      ctx.restore();
    };
  }

  function optionsOf(plot, figure) {
    const inks = INKS[dark.matches ? 'dark' : 'light'];
    const limitPeak = Math.max(0, ...plot.limits.map(({ value }) => value));
    const axis = {
      stroke: css('--quiet'),
      font: FONT,
      grid: { stroke: css('--grid'), width: 1 },
      ticks: { stroke: css('--grid'), width: 1, size: 5 },
    };
    return {
      width: Math.max(260, figure.querySelector('.canvas').clientWidth),
      height: 210,
      padding: [22, 32, 0, 0],
      cursor: {
        sync: { key: 'run', setSeries: false },
        drag: { x: true, y: false, setScale: true },
        points: { size: 7 },
        bind: { dblclick: () => () => (zoom(full), null) },
      },
      legend: {
        live: true,
        markers: {
          width: 3,
          dash: (_, i) => ['solid', 'dashed', 'dotted'][(i - 1) % DASHES.length > 2 ? 1 : (i - 1) % DASHES.length],
        },
      },
      scales: {
        x: { time: false, auto: false, min: current.min, max: current.max, range: (_, min, max) => [min, max] },
        y: { range: (_, min, max) => [Math.min(0, min ?? 0), Math.max(max ?? 0, limitPeak) * 1.12 || 1] },
      },
      axes: [
        { ...axis, values: (_, ticks) => ticks.map(tick => `${number(tick)} ${data.timeUnit}`), space: 90, size: 34 },
        { ...axis, size: 62, values: (_, ticks) => ticks.map(number) },
      ],
      series: [
        { label: 'time', value: (_, value) => (value === null ? '—' : `${number(value)} ${data.timeUnit}`) },
        ...plot.series.map(({ name }, i) => ({
          label: name,
          stroke: inks[i % inks.length],
          width: 1.75,
          dash: DASHES[i % DASHES.length],
          points: { show: plot.x.length < 60 ? undefined : false, size: 4 },
          value: (_, value) => (value === null || value === undefined ? '—' : `${number(value)} ${plot.unit}`),
        })),
      ],
      hooks: {
        drawClear: [drawBelow],
        draw: [drawAbove(plot)],
        setScale: [
          (u, key) => {
            if (key !== 'x') return;
            const { min, max } = u.scales.x;
            figure.dataset.from = String(min);
            figure.dataset.to = String(max);
            if (min !== current.min || max !== current.max) zoom({ min, max });
          },
        ],
      },
    };
  }

  function build() {
    for (const { u } of plots.splice(0)) u.destroy();
    for (const plot of data.plots) {
      const figure = document.getElementById(`plot-${plot.id}`);
      // '' means no reading of this series at this time: uPlot then joins its neighbours; null breaks the line.
      const columns = plot.series.map(({ values }) => values.map(value => (value === '' ? undefined : value)));
      const u = new uPlot(optionsOf(plot, figure), [plot.x, ...columns], figure.querySelector('.canvas'));
      plots.push({ u, figure });
      for (const [i, head] of [...figure.querySelectorAll('.u-legend .u-series > th')].entries()) {
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
    zoom(current);
  }

  const KEYS = {
    '+': ({ min, max }) => ({ min: min + (max - min) / 4, max: max - (max - min) / 4 }),
    '=': view => KEYS['+'](view),
    '-': ({ min, max }) => ({ min: min - (max - min) / 2, max: max + (max - min) / 2 }),
    ArrowLeft: ({ min, max }) => ({ min: min - (max - min) / 5, max: max - (max - min) / 5 }),
    ArrowRight: ({ min, max }) => ({ min: min + (max - min) / 5, max: max + (max - min) / 5 }),
    0: () => full,
  };

  for (const figure of document.querySelectorAll('[data-plot]')) {
    figure.addEventListener('keydown', event => {
      const move = event.target === figure && !event.ctrlKey && !event.metaKey && !event.altKey && KEYS[event.key];
      if (!move) return;
      event.preventDefault();
      zoom(move(current));
    });
  }
  for (const button of document.querySelectorAll('[data-zoom]')) {
    button.addEventListener('click', () => {
      const phase = data.phases[button.dataset.zoom];
      zoom(phase ? { min: phase.begin, max: phase.end } : full);
    });
  }

  document.getElementById('instant')?.addEventListener('change', event => {
    for (const layer of document.querySelectorAll('[data-layer]'))
      layer.classList.toggle('on', layer.dataset.layer === event.target.value);
  });

  build();
  dark.addEventListener('change', build);

  // A4 or Letter with margins is about 680 CSS pixels wide; a canvas does not shrink by itself.
  addEventListener('beforeprint', () => plots.forEach(({ u }) => u.setSize({ width: 680, height: 190 })));
  addEventListener('afterprint', () =>
    plots.forEach(({ u, figure }) =>
      u.setSize({ width: Math.max(260, figure.querySelector('.canvas').clientWidth), height: 210 }),
    ),
  );

  let width = innerWidth;
  let pending = 0;
  addEventListener('resize', () => {
    if (innerWidth === width) return;
    width = innerWidth;
    cancelAnimationFrame(pending);
    pending = requestAnimationFrame(() => {
      for (const { u, figure } of plots)
        u.setSize({ width: Math.max(260, figure.querySelector('.canvas').clientWidth), height: 210 });
    });
  });
})();
