// The pages work without this. It shows the numbers under the pointer, and copies an execution; live.js
// keeps an open page current. Both load this server's own pages only.
"use strict";

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
