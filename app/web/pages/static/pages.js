"use strict";
// Every page works without this. It adds three comforts.

// 1. A form is sent once: the second click of a double click does nothing.
addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = "yes";
  setTimeout(() => delete form.dataset.sent, 5000);
});
addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent));

// 2. The trail follows while something is under way, but never under somebody's hands.
const EVERY = 3000;

function busyHands(part) {
  const here = document.activeElement;
  if (part.contains(here) && here.matches("input, select, textarea, button")) return true;
  const chosen = (field) => [...field.options].some((option) => option.selected !== option.defaultSelected && field.value);
  return [...part.querySelectorAll("input:not([type=hidden])")].some((field) => field.value !== field.defaultValue)
    || [...part.querySelectorAll("select")].some(chosen)
    || (getSelection().type === "Range" && part.contains(getSelection().anchorNode));
}

async function follow() {
  const part = document.getElementById("live");
  if (!part || !("doing" in part.dataset)) return;
  if (!document.hidden && !busyHands(part)) {
    try {
      const answer = await fetch(location.pathname, { cache: "no-store" });
      if (answer.redirected) return location.reload();
      if (answer.ok) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
        if (fresh && !busyHands(part)) replace(part, fresh);
      }
    } catch { /* the server is away for a moment; ask again */ }
  }
  setTimeout(follow, EVERY);
}

function replace(part, fresh) {
  for (const folded of part.querySelectorAll("details[id]")) {
    const same = fresh.querySelector(`#${CSS.escape(folded.id)}`);
    if (same) same.open = folded.open;
  }
  const times = (of) => [...of.querySelectorAll("time")];
  const still = (of) => of.outerHTML.replace(/>[^<]*<\/time>/g, "></time>");
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

setTimeout(follow, EVERY);

// 3. A link from another site arrives without the session's cookie (it is SameSite=Strict). Our
// own request carries it: when that one is let in, so is the person.
const door = document.querySelector("main[data-onward]");
if (door) {
  fetch(door.dataset.onward, { redirect: "manual", cache: "no-store" })
    .then((answer) => { if (answer.ok) location.replace(door.dataset.onward); })
    .catch(() => {});
}

// Menus of the header close on Escape and on a click elsewhere.
addEventListener("keydown", (event) => {
  const open = event.key === "Escape" && document.querySelector("details.menu[open]");
  if (open) { open.open = false; open.querySelector("summary").focus(); }
});
addEventListener("click", (event) => {
  for (const open of document.querySelectorAll("details.menu[open]")) if (!open.contains(event.target)) open.open = false;
});
