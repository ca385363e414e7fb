"use strict";
// Every page works without this. It adds four comforts.

// 1. A form is sent once: the second click of a double click does nothing.
addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = "yes";
  setTimeout(() => delete form.dataset.sent, 5000);
});
addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent));

// 2. What is shown follows what happens, but never under somebody's hands.
const LATER = 3000, NOW_AND_THEN = 30000, UNDER_WAY = 5000;
const FOLLOW = ["live", "switch", "paused", "waiting"];
const live = document.getElementById("live");
let stream = null, late = null;

function busyHands(part) {
  const here = document.activeElement;
  if (part.contains(here) && here.matches("input, select, textarea, button")) return true;
  if (part.querySelector("form:hover, details.menu[open]")) return true;
  const chosen = (field) => [...field.options].some((option) => option.selected !== option.defaultSelected && field.value);
  return [...part.querySelectorAll("input:not([type=hidden])")].some((field) => field.value !== field.defaultValue)
    || [...part.querySelectorAll("select")].some(chosen)
    || (getSelection().type === "Range" && part.contains(getSelection().anchorNode));
}

// Fetches the page anew and puts what changed in its place; later, when hands are on it.
async function renew() {
  clearTimeout(late);
  late = null;
  if (document.hidden) return;
  const parts = FOLLOW.map((id) => document.getElementById(id)).filter(Boolean);
  if (parts.some(busyHands)) return void (late = setTimeout(renew, LATER));
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    if (answer.redirected) return location.reload();
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (parts.some(busyHands)) return void (late = setTimeout(renew, LATER));
    for (const part of parts) {
      const other = fresh.getElementById(part.id);
      if (other) replace(part, other);
    }
  } catch { /* the server is away for a moment; the stream tells when it is back */ }
}

// Only a page that is looked at listens: a browser has few connections to one host.
function listen() {
  stream?.close();
  stream = null;
  const part = document.getElementById("live");
  if (!part?.dataset.page || document.hidden) return;
  const of = new URLSearchParams({ page: part.dataset.page, mark: part.dataset.mark });
  stream = new EventSource(`/live?${of}`);
  stream.addEventListener("changed", renew);
  stream.addEventListener("error", () => {
    if (stream?.readyState !== EventSource.CLOSED) return;
    stream = null; // signed out, or too many listen: renewing finds out which
    renew();
    setTimeout(() => { if (!stream) listen(); }, NOW_AND_THEN);
  });
}

if (live) {
  listen();
  addEventListener("visibilitychange", listen);
  addEventListener("pagehide", () => stream?.close());
  // Times go on, and what waits for no row of ours to be told of.
  setInterval(renew, "doing" in live.dataset ? UNDER_WAY : NOW_AND_THEN);
}

function replace(part, fresh) {
  for (const folded of part.querySelectorAll("details[id]")) {
    const same = fresh.querySelector(`#${CSS.escape(folded.id)}`);
    if (same) same.open = folded.open;
  }
  Object.assign(part.dataset, fresh.dataset);
  const times = (of) => [...of.querySelectorAll("time")];
  const still = (of) => of.innerHTML.replace(/>[^<]*<\/time>/g, "></time>");
  if (still(part) === still(fresh)) {
    // Only the clock went on: nothing is moved, and nothing is announced again.
    const now = times(fresh);
    times(part).forEach((time, place) => { time.textContent = now[place].textContent; });
    return;
  }
  const here = part.contains(document.activeElement) ? document.activeElement : null;
  const address = here?.getAttribute("href");
  const folded = here?.matches("details[id] > summary") && here.parentElement.id;
  const rolled = [...part.querySelectorAll(".scroll, .events")].map((box) => box.scrollTop);
  part.replaceWith(fresh);
  fresh.querySelectorAll(".scroll, .events").forEach((box, place) => { box.scrollTop = rolled[place] ?? 0; });
  const same = folded ? `#${CSS.escape(folded)} > summary` : address && `a[href="${CSS.escape(address)}"]`;
  if (same) fresh.querySelector(same)?.focus({ preventScroll: true });
}

// 3. A link from another site arrives without the session's cookie (it is SameSite=Strict). Our
// own request carries it: when that one is let in, so is the person.
const door = document.querySelector("main[data-onward]");
if (door) {
  fetch(door.dataset.onward, { redirect: "manual", cache: "no-store" })
    .then((answer) => { if (answer.ok) location.replace(door.dataset.onward); })
    .catch(() => {});
}

// On a phone the navigation rolls: the page that one is on is in sight.
const at = document.querySelector(".top nav [aria-current]");
if (at) at.parentElement.scrollLeft = at.offsetLeft - at.parentElement.clientWidth / 2 + at.offsetWidth / 2;

// Menus of the header close on Escape and on a click elsewhere.
addEventListener("keydown", (event) => {
  const open = event.key === "Escape" && document.querySelector("details.menu[open]");
  if (open) { open.open = false; open.querySelector("summary").focus(); }
});
addEventListener("click", (event) => {
  for (const open of document.querySelectorAll("details.menu[open]")) if (!open.contains(event.target)) open.open = false;
});

// 4. Single keys: j and k go through the rows, / searches, ? tells of them. They can be turned off.
const keys = document.getElementById("keys");
const off = () => localStorage.getItem("keys") === "off";
const rows = () => [...document.querySelectorAll("tbody .c-title > a, [data-row] :is(h2, h3) > a")];

function go(by) {
  const all = rows(), at = all.indexOf(document.activeElement);
  const to = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1)];
  to?.focus();
  to?.scrollIntoView({ block: "nearest" });
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || off() || !keys || keys.open) return;
  if (event.target.matches?.("input, select, textarea")) return;
  const does = { j: () => go(1), k: () => go(-1), "?": () => keys.showModal() }[event.key]
    ?? (event.key === "/" && document.querySelector("[data-search]") && (() => document.querySelector("[data-search]").focus()));
  if (!does) return;
  event.preventDefault();
  does();
});
if (keys) {
  const button = document.querySelector("[data-keys]"), on = keys.querySelector("[data-keys-on]");
  button.hidden = false;
  button.addEventListener("click", () => keys.showModal());
  keys.querySelector("[data-keys-off]").addEventListener("click", () => keys.close());
  on.checked = !off();
  on.addEventListener("change", () => localStorage.setItem("keys", on.checked ? "on" : "off"));
}
