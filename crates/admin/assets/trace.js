// Adds rows to the table of the trace as they happen. Asks nothing while the page is not looked at.
"use strict";
(() => {
  const place = document.getElementById("live");
  const body = document.querySelector("#events tbody");
  const pause = document.getElementById("live-pause");
  if (!place || !body || !pause) return;
  const ROWS_MAX = 500;
  const words = place.querySelector("[role=status]");
  let source = null;
  let count = 0;
  let paused = false;
  const say = () => { words.textContent = place.dataset.new.replace("#", String(count)); };
  const close = () => { if (source) source.close(); source = null; };
  const open = () => {
    if (source || paused || document.hidden) return;
    source = new EventSource(place.dataset.address);
    source.addEventListener("open", say);
    source.addEventListener("row", (event) => {
      const holder = document.createElement("template");
      holder.innerHTML = event.data;
      body.prepend(holder.content);
      while (body.rows.length > ROWS_MAX) body.deleteRow(-1);
      count += 1;
      say();
    });
    source.addEventListener("missed", (event) => { count += Number(event.data); say(); });
    source.onerror = () => { words.textContent = place.dataset.lost; };
  };
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    if (paused) close(); else open();
  });
  document.addEventListener("visibilitychange", () => { if (document.hidden) close(); else open(); });
  open();
})();
