// Charts over time that can be looked at closer: a button beside each draws the numbers of its
// table by uPlot. Without this the picture and the table are there all the same. What a drag does,
// the buttons do too.
"use strict";
(() => {
  const root = document.documentElement;
  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const TONES = ["--accent", "--good", "--waiting", "--bad", "--quiet"];
  const DASHES = [[], [10, 3], [6, 4], [2, 3], [8, 3, 2, 3]];
  const HEIGHT = 280;
  const STEP_MIN = 60; // seconds: no number is closer to the next
  const TIMES_MIN = 3; // fewer are no part of anything
  // What is counted is whole: 1, 2, 5, 10, 20…
  const STEPS = [...Array(10).keys()].flatMap((power) => [1, 2, 5].map((one) => one * 10 ** power));

  // The table: times, and one list of numbers for each further column.
  const read = (table) => {
    const rows = [...table.tBodies[0].rows];
    const number = (cell) => (cell.textContent.trim() === "" ? null : Number(cell.textContent));
    const times = rows.map((row) => Date.parse(row.cells[0].textContent) / 1000);
    const heads = [...table.tHead.rows[0].cells].slice(1).map((cell) => cell.textContent);
    return { heads, data: [times, ...heads.map((_, at) => rows.map((row) => number(row.cells[at + 1])))] };
  };

  const draw = (place, chart) => {
    const { heads, data } = read(chart.querySelector("table"));
    const asked = { timeZone: place.dataset.zone, hourCycle: "h23" };
    // As the rest of the page: the day before the month.
    const language = { en: "en-GB" }[root.lang] || root.lang;
    const of = (more) => new Intl.DateTimeFormat(language, { ...asked, ...more });
    const clock = of({ hour: "2-digit", minute: "2-digit" });
    const day = of({ day: "numeric", month: "short" });
    const whole = (time) => `${day.format(time)} ${clock.format(time)}`;
    const numbers = new Intl.NumberFormat(language);
    const shown = (value) => (value === null || value === undefined ? "–" : numbers.format(value));
    const at = (seconds) => new Date(seconds * 1000);
    const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line") }, ticks: { stroke: colour("--line") } };
    const series = heads.map((label, number) => ({
      label,
      stroke: colour(TONES[number % TONES.length]),
      dash: DASHES[number % DASHES.length],
      width: 2,
      value: (_, value) => shown(value),
    }));
    const options = {
      width: place.clientWidth,
      height: HEIGHT,
      tzDate: (seconds) => uPlot.tzDate(at(seconds), place.dataset.zone),
      cursor: { drag: { x: true, y: false } },
      // What is shown, for whoever looks from outside.
      hooks: { setScale: [(plot, key) => { if (key === "x") place.dataset.shown = `${plot.scales.x.min} ${plot.scales.x.max}`; }] },
      series: [{ label: place.dataset.time, value: (_, value) => (value ? whole(at(value)) : "–") }, ...series],
      axes: [
        { ...axis, values: (_, splits, __, ___, step) => splits.map((one) => (step < 86400 ? clock : day).format(at(one))) },
        { ...axis, size: 64, incrs: STEPS, values: (_, splits) => splits.map((one) => numbers.format(one)) },
      ],
    };
    return new uPlot(options, data, place);
  };

  // What the buttons do to the range that is shown.
  const move = (plot, act) => {
    const times = plot.data[0];
    const [first, last] = [times[0], times[times.length - 1]];
    const { min, max } = plot.scales.x;
    const span = max - min;
    const shift = { left: -span / 4, right: span / 4 }[act] || 0;
    const closer = { in: span / 4, out: -span / 2 }[act] || 0;
    let from = min + shift + closer;
    let until = max + shift - closer;
    if (act === "whole") [from, until] = [first, last];
    if (until - from < STEP_MIN) return;
    plot.setScale("x", { min: Math.max(from, first), max: Math.min(until, last) });
  };

  for (const place of document.querySelectorAll("[data-zoom]")) {
    const chart = place.closest(".chart");
    const pictures = [chart.querySelector("svg"), chart.querySelector(".legend")].filter(Boolean);
    if (chart.querySelectorAll("tbody tr").length < TIMES_MIN) continue;
    const [begin, ...others] = place.querySelectorAll("button");
    let plot = null;
    place.hidden = false;
    begin.addEventListener("click", () => {
      const isOpen = plot !== null;
      for (const one of pictures) one.toggleAttribute("hidden", !isOpen);
      begin.setAttribute("aria-expanded", String(!isOpen));
      for (const one of others) one.hidden = isOpen;
      if (isOpen) {
        plot.destroy();
        plot = null;
      } else {
        plot = draw(place, chart);
      }
    });
    for (const one of others) one.addEventListener("click", () => move(plot, one.dataset.act));
    new ResizeObserver(() => {
      if (plot) plot.setSize({ width: place.clientWidth, height: HEIGHT });
    }).observe(place);
  }
})();
