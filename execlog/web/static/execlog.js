// The pages work without this. It refreshes them, shows the numbers under the pointer, and copies an
// execution. It loads this server's own pages only.
"use strict";

const every = Number(document.body.dataset.live) * 1000;
const pause = document.getElementById("live-pause");
const state = document.getElementById("live-state");
const PAUSED = "execlog-paused";
const PARTS = "main section[id], #notices";

// Live refresh: loads the same URL again and replaces the parts that have changed.

let asking = false;

async function refresh() {
  if (asking || paused() || document.hidden) return;
  asking = true;
  try {
    const answer = await fetch(location.href, { signal: AbortSignal.timeout(30000) });
    if (!answer.ok) throw new Error(answer.status);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    // The viewer may have paused meanwhile.
    if (!paused()) replace(fresh);
  } catch {
    state.textContent = "Not refreshed: no answer";
  } finally {
    asking = false;
  }
}

function replace(fresh) {
  const ids = [...fresh.querySelectorAll(PARTS)].map((section) => section.id);
  const here = [...document.querySelectorAll(PARTS)].map((section) => section.id);
  if (ids.join() !== here.join()) {
    // The sections differ: replace all, unless an element in there has the focus.
    if (document.querySelector("main").contains(document.activeElement)) return;
    document.querySelector("main").replaceWith(document.adoptNode(fresh.querySelector("main")));
  } else {
    for (const id of ids) {
      const old = document.getElementById(id);
      const now = fresh.getElementById(id);
      if (old.contains(document.activeElement) || old.innerHTML === now.innerHTML) continue;
      const open = [...old.querySelectorAll("details")].map((one) => one.open);
      now.querySelectorAll("details").forEach((one, place) => { one.open = open[place] ?? one.open; });
      const scrolled = [...old.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
      old.replaceChildren(...document.adoptNode(now).childNodes);
      old.querySelectorAll(".scroll").forEach((one, place) => { one.scrollLeft = scrolled[place] ?? 0; });
    }
    const shown = fresh.querySelector(".window");
    if (shown) document.querySelector(".window").replaceWith(document.adoptNode(shown));
  }
  hide();
  hover();
  state.textContent = fresh.getElementById("live-state")?.textContent ?? "";
}

function paused() {
  return sessionStorage.getItem(PAUSED) === "yes";
}

function show() {
  pause.textContent = paused() ? "Resume" : "Pause";
  pause.setAttribute("aria-pressed", String(paused()));
}

if (every && pause) {
  pause.parentElement.hidden = false;
  show();
  pause.addEventListener("click", () => {
    sessionStorage.setItem(PAUSED, paused() ? "no" : "yes");
    show();
    refresh();
  });
  setInterval(refresh, every);
}

// The numbers under the pointer, from the table below the chart; a click opens the link of its row.

function hover() {
  for (const figure of document.querySelectorAll("figure[data-hover]")) {
    const heads = [...figure.querySelectorAll("thead th")].map((cell) => cell.textContent.trim());
    const rows = figure.querySelectorAll("tbody tr");
    for (const chart of figure.querySelectorAll("svg.chart")) {
      if (chart.dataset.ready || !rows.length) continue;
      chart.dataset.ready = "yes";
      const row = (event) => {
        const box = chart.getBoundingClientRect();
        const place = Math.floor(((event.clientX - box.left) / box.width) * rows.length);
        return Math.min(Math.max(place, 0), rows.length - 1);
      };
      chart.addEventListener("pointermove", (event) => tell(chart, rows[row(event)], heads, event, row(event), rows.length));
      chart.addEventListener("pointerleave", hide);
      chart.addEventListener("click", (event) => rows[row(event)].querySelector("a")?.click());
    }
  }
}

function tell(chart, row, heads, event, place, count) {
  hide();
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.setAttribute("aria-hidden", "true");
  const title = document.createElement("b");
  title.textContent = row.cells[0].textContent.trim();
  const list = document.createElement("dl");
  [...row.cells].slice(1).forEach((cell, number) => {
    if (!cell.textContent.trim()) return;
    const name = document.createElement("dt");
    const value = document.createElement("dd");
    name.textContent = heads[number + 1];
    value.textContent = cell.textContent.trim();
    list.append(name, value);
  });
  tip.append(title, list);
  document.body.append(tip);
  const left = event.clientX + 16 + tip.offsetWidth > innerWidth ? event.clientX - 16 - tip.offsetWidth : event.clientX + 16;
  tip.style.left = `${Math.max(left, 4)}px`;
  tip.style.top = `${Math.min(event.clientY + 12, innerHeight - tip.offsetHeight - 4)}px`;
  const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
  const x = `${((place + 0.5) / count) * 100}%`;
  line.setAttribute("class", "cursor");
  for (const [name, value] of [["x1", x], ["x2", x], ["y1", "0"], ["y2", String(chart.querySelector("svg").height.baseVal.value)]]) line.setAttribute(name, value);
  chart.append(line);
}

function hide() {
  document.querySelectorAll(".tip, .cursor").forEach((one) => one.remove());
}

hover();

// Copy as JSON.

const copy = document.getElementById("copy");
if (copy) {
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    const told = document.getElementById("copied");
    try {
      const answer = await fetch(copy.dataset.from);
      if (!answer.ok) throw new Error(answer.status);
      await write(await answer.text()); // unparsed: a number may have more digits than JavaScript keeps
      told.textContent = "Copied.";
    } catch {
      told.textContent = "Could not copy: open the JSON instead.";
    }
  });
}

async function write(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // The clipboard of a page without TLS.
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("refused");
}
