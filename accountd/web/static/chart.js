// Draws the pictures with axes and a cursor; the server has drawn them already, so nothing is missing without.
"use strict";
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const still = [];

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function short(value) {
    return new Intl.NumberFormat("en", { maximumSignificantDigits: 6 }).format(value);
  }

  function clock(times) { // what a tick says, by how much time is shown
    const span = times[times.length - 1] - times[0];
    const part = span > 4 * 86400 ? { day: "2-digit", month: "short" }
      : span > 86400 ? { day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit" }
      : span > 1800 ? { hour: "2-digit", minute: "2-digit" } : { hour: "2-digit", minute: "2-digit", second: "2-digit" };
    const form = new Intl.DateTimeFormat("en-GB", { ...part, timeZone: "UTC", hourCycle: "h23" });
    return (plot, all) => all.map((at) => form.format(new Date(at * 1000)));
  }

  function options(figure, width, times, exact) {
    const bars = figure.dataset.kind === "bars", text = colour("--dim"), grid = { stroke: colour("--line"), width: 1 };
    const accent = colour("--accent"), axis = { stroke: text, grid, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    const series = {
      label: figure.dataset.label, stroke: accent, width: 2, points: { show: false },
      value: (plot, value, n, at) => (at === null ? "–" : exact[at]),
    };
    if (bars) {
      series.paths = uPlot.paths.bars({ size: [0.7, 40] });
      series.stroke = "transparent";
      series.width = 0;
      series.fill = colour("--good");
    } else {
      series.paths = uPlot.paths.stepped({ align: 1 });
      series.fill = accent + "1a";
    }
    return {
      width, height: 170, tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
      legend: { live: true }, cursor: { y: false, points: { size: 7 } }, padding: [10, 8, 0, 0],
      scales: {
        x: bars && times.length > 1 ? { range: (plot, first, last) => {
          const half = (times[1] - times[0]) / 2;
          return [first - half, last + half];
        } } : {},
        y: { range: (plot, low, high) => {
          if (bars) return [Math.min(low, 0) * 1.08, Math.max(high, 0) * 1.08 || 1];
          const room = (high - low) * 0.12 || Math.abs(high) * 0.01 || 1;
          return [low - room, high + room];
        } },
      },
      axes: [{ ...axis, space: 90, size: 26, values: clock(times) }, { ...axis, size: 68, space: 34, values: (plot, all) => all.map(short) }],
      series: [{ label: "UTC", value: bars ? "{YYYY}-{MM}-{DD}" : "{YYYY}-{MM}-{DD} {HH}:{mm}:{ss}" }, series],
    };
  }

  function draw(figure) {
    const [times, exact] = JSON.parse(figure.dataset.series);
    const width = Math.floor(figure.getBoundingClientRect().width);
    if (width < 80 || times.length < 2) return;
    const values = exact.map(Number), settings = options(figure, width, times, exact);
    let data = [times, values];
    if (figure.dataset.kind === "bars") { // losses are a second series, so that they have their own colour
      const [when, gain] = settings.series;
      settings.series = [when, { ...gain }, { ...gain, label: "", fill: colour("--bad"), value: () => "" }];
      data = [times, values.map((v) => (v > 0 ? v : 0)), values.map((v) => (v < 0 ? v : 0))];
    }
    figure.classList.add("drawn");
    const plot = new uPlot(settings, data, figure);
    const sized = new ResizeObserver(() => {
      const room = Math.floor(figure.getBoundingClientRect().width);
      if (room > 80 && room !== plot.width) plot.setSize({ width: room, height: 170 });
    });
    sized.observe(figure);
    still.push({ figure, end: () => { sized.disconnect(); plot.destroy(); figure.classList.remove("drawn"); } });
  }

  function drawAll() {
    for (let n = still.length - 1; n >= 0; n -= 1) if (!still[n].figure.isConnected) still.splice(n, 1)[0].end();
    for (const figure of document.querySelectorAll("figure.chart:not(.drawn)")) draw(figure);
  }

  document.addEventListener("exchanged", drawAll);
  dark.addEventListener("change", () => {
    while (still.length) still.pop().end();
    drawAll();
  });
  if (window.uPlot) drawAll();
})();
