"use strict";
// Brings the numbers up to date once a second. Without it the page is whole, as of when it was made.
const OFTEN = 1000;
const late = document.getElementById("late");
const label = document.createElement("label");
const box = document.createElement("input");
box.type = "checkbox";
box.checked = true;
label.id = "live";
label.append(box, "live");
late.before(label, " ");

function replace(from) {
  for (const old of document.querySelectorAll("[data-live]")) {
    const fresh = from.getElementById(old.id);
    if (fresh && fresh.innerHTML !== old.innerHTML) old.innerHTML = fresh.innerHTML;
  }
}

async function look() {
  if (box.checked && !document.hidden) {
    try {
      const address = `${location.origin}${location.pathname}?live=1`;
      const answer = await fetch(address, { signal: AbortSignal.timeout(5 * OFTEN) });
      if (!answer.ok) throw new Error(`it answered ${answer.status}`);
      replace(new DOMParser().parseFromString(await answer.text(), "text/html"));
      late.textContent = "";
    } catch (error) {
      late.textContent = "The gateway does not answer; this is what it said last.";
    }
  }
  setTimeout(look, OFTEN);
}

setTimeout(look, OFTEN);
