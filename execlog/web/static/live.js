// Keeps an open page current: new rows of a list of executions come once a second, all else is
// loaded again every ten seconds; and each "3 min ago" stays true. `hide` and `hover` are of execlog.js.
"use strict";

const body = document.body.dataset;
const pause = document.getElementById("live-pause");
const state = document.getElementById("live-state");
const every = Number(body.live) * 1000;
const PAUSED = "execlog-paused";
const PARTS = "main section[id], #notices";
const HOUR = 3600_000;
const [LOOK, MARKED, MOST_PLACES] = [1000, 3000, 8];

let asking = false;
let sign = Date.now(); // when the viewer was last seen to be there
let held = stored() === "yes";
let ahead = body.now ? Date.parse(body.now) - Date.now() : 0; // of the server's clock

// The browser may deny a page its storage; a pause then lasts as long as the page.

function stored(value) {
  try {
    if (value) sessionStorage.setItem(PAUSED, value);
    return sessionStorage.getItem(PAUSED);
  } catch {
    return value;
  }
}

// The page as a whole: loads the same URL again and replaces the parts that have changed.

async function refresh() {
  if (asking || stopped()) return;
  asking = true;
  try {
    const answer = await fetch(location.href, { signal: AbortSignal.timeout(30000) });
    if (!answer.ok) throw new Error(answer.status);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    // The viewer may have paused meanwhile.
    if (!stopped()) replace(fresh);
  } catch {
    state.textContent = "Not refreshed: no answer";
  } finally {
    asking = false;
  }
}

function replace(fresh) {
  const now = fresh.body.dataset;
  ahead = now.now ? Date.parse(now.now) - Date.now() : ahead;
  for (const page of [document, fresh]) tellAges(page);
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
  if (follows) begin(now.follow);
  else say(fresh.getElementById("live-state"));
}

function say(shown) {
  if (shown) state.replaceChildren(...document.adoptNode(shown).childNodes);
}

// New rows: those that this server found for all who look at the same list.

let follows = body.follow !== undefined;
let places = follows && body.follow ? [body.follow] : []; // how far we are with each process that answers
let waiting = []; // new rows, while the viewer reads or the list is on its way
let isOld = false; // whether only the whole page can say what is new
let isCut = false; // whether rows are gone from the end, so that the next page begins too far
let loaded = 0; // when the whole page was loaded again
let note = "";

function begin(place) {
  if (place === undefined) follows = false;
  else if (place) reach(place);
  [waiting, isOld, isCut, loaded] = [[], false, false, Date.now()];
  tellNews();
}

function reach(place) {
  const [name] = place.split(".");
  places = [...places.filter((one) => one.split(".")[0] !== name), place].slice(-MOST_PLACES);
}

async function look() {
  if (asking || stopped()) return;
  asking = true;
  try {
    const url = new URL(`live/executions${location.search}`, location.href);
    url.searchParams.set("after", places.join());
    const answer = await fetch(url, { signal: AbortSignal.timeout(10000) });
    if (answer.status === 501) follows = false; // this log has no order to follow
    else if (!answer.ok) throw new Error(answer.status);
    else if (answer.status !== 204) take(await answer.text());
    if (follows) state.textContent = note || "Live";
  } catch {
    state.textContent = "Not refreshed: no answer";
  } finally {
    asking = false;
  }
  // The viewer may have paused meanwhile, or reads what would move.
  if (stopped() || isRead()) tellNews();
  else if ((isOld || !show()) && Date.now() - loaded >= every) await refresh();
}

function take(text) {
  const found = new DOMParser().parseFromString(text, "text/html");
  const told = found.getElementById("live").dataset;
  reach(told.place);
  note = told.more ? `Live: newest of ${told.more}+/s` : "";
  isOld ||= told.reload !== undefined;
  waiting.push(...[...found.querySelectorAll("tbody tr")].map((one) => document.adoptNode(one)));
  waiting = waiting.slice(-Number(body.most));
}

// Whether something is read, so that nothing may move.
function isRead() {
  const list = document.getElementById("rows");
  return scrollY > 0 || (list !== null && list.contains(document.activeElement));
}

// Puts the new rows where a reload would have them; false if there is no list yet.
function show() {
  const list = document.querySelector("#rows .rows tbody");
  if (list === null) return waiting.length === 0;
  const known = new Set([...list.rows].map(nameOf));
  for (const row of waiting) {
    if (known.has(nameOf(row))) continue;
    const time = timeOf(row);
    const next = [...list.rows].find((one) => !(timeOf(one) > time));
    if (next === undefined && list.rows.length >= Number(body.most)) continue;
    list.insertBefore(row, next ?? null);
    row.classList.add("fresh");
    setTimeout(() => row.classList.remove("fresh"), MARKED);
  }
  while (list.rows.length > Number(body.most)) {
    list.rows[list.rows.length - 1].remove();
    isCut = true;
  }
  if (isCut) linkOlder();
  waiting = [];
  tellAges(list);
  tellNews();
  return true;
}

function nameOf(row) {
  return row.querySelector("a")?.getAttribute("href");
}

function timeOf(row) {
  return Date.parse(row.querySelector("time")?.dateTime);
}

function tellNews() {
  const old = document.getElementById("news");
  if (!isOld && waiting.length === 0) return old?.remove();
  const button = old ?? document.createElement("button");
  const count = waiting.length >= Number(body.most) ? `${body.most} or more` : waiting.length;
  button.textContent = isOld ? "New rows" : `${count} new`;
  if (old) return;
  [button.id, button.className, button.type] = ["news", "news", "button"];
  button.addEventListener("click", () => {
    scrollTo({ top: 0, behavior: "instant" });
    document.activeElement.blur();
    button.remove();
    if (isOld || !show()) refresh();
  });
  document.querySelector("main").prepend(button);
}

function linkOlder() {
  const pages = document.querySelector("#rows .pages");
  if (!pages || pages.querySelector("a[rel=next]")) return;
  const link = document.createElement("a");
  [link.rel, link.href, link.textContent] = ["next", location.href, "Older"];
  pages.replaceChildren(link);
}

// The next page begins behind the last row; if that has changed, only a reload knows how it is called.
document.addEventListener("click", async (event) => {
  const link = event.target.closest("#rows a[rel=next]");
  if (!link || !isCut || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  try {
    const answer = await fetch(location.href, { signal: AbortSignal.timeout(30000) });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    location.href = fresh.querySelector("#rows a[rel=next]").getAttribute("href");
  } catch {
    location.href = link.href;
  }
});

// Pauses: when the viewer wants one, in a tab that is hidden, and after an hour without a sign.

function stopped() {
  return held || document.hidden || idle();
}

function idle() {
  return Date.now() - sign >= HOUR;
}

function tellPause() {
  pause.textContent = held || idle() ? "Resume" : "Pause";
  pause.setAttribute("aria-pressed", String(held || idle()));
  if (idle() && !held) state.textContent = "Paused after an hour";
}

function next() {
  tellPause();
  return follows ? look() : refresh();
}

if (every && pause) {
  pause.parentElement.hidden = false;
  if (follows && !held) state.textContent = "Live";
  tellPause();
  pause.addEventListener("click", () => {
    held = !(held || idle());
    sign = Date.now();
    stored(held ? "yes" : "no");
    tellPause();
    next();
  });
  for (const one of ["pointerdown", "pointermove", "keydown", "wheel", "touchstart", "scroll"]) {
    document.addEventListener(one, () => { if (!idle()) sign = Date.now(); }, { passive: true, capture: true });
  }
  document.addEventListener("visibilitychange", () => { if (!document.hidden) next(); });
  setInterval(() => { if (follows) next(); }, LOOK);
  setInterval(() => { if (!follows) next(); }, every);
}

// How long ago each time is.

function tellAges(page) {
  const now = Date.now() + ahead;
  for (const one of page.querySelectorAll("time + .ago")) {
    const age = Math.floor((now - Date.parse(one.previousElementSibling.dateTime)) / 1000);
    const [unit, name] = age < 60 ? [1, "s"] : age < 3600 ? [60, "min"] : [3600, "h"];
    const text = `${Math.floor(age / unit)} ${name} ago`;
    if (age >= 0 && one.textContent !== text) one.textContent = text;
  }
}

setInterval(() => { if (!document.hidden) tellAges(document); }, LOOK);

// Times in the browser's own zone.

const own = document.getElementById("own-zone");
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (own && zone && ![own.dataset.zone, "UTC", "Etc/UTC", "Etc/Unknown"].includes(zone)) {
  own.href = own.dataset.link.replace("zone=ZONE", `zone=${encodeURIComponent(zone)}`);
  own.textContent = `Show times in ${zone}`;
  own.hidden = false;
}

document.querySelector(".top nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
