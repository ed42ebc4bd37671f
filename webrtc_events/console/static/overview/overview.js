// Reads the live part of the overview anew every few seconds, and puts in what has changed. Not while it is hidden.

const updates = document.getElementById("updates");
const updated = document.getElementById("updated");
const pause = document.getElementById("pause");
const live = document.getElementById("live");
const everyMs = Number(updates.dataset.every) * 1000;
const BOUND_MS = 10_000;

let paused = false;
let timer;
let answeredAt = Date.now();

function put(text) {
  const template = document.createElement("template");
  template.innerHTML = text;
  const wanted = [...template.content.children];
  const order = wanted.map((part) => part.id || part.className);
  const shown = [...live.children].map((part) => part.id || part.className);
  if (order.join() !== shown.join()) {
    // Parts have come or gone.
    live.replaceChildren(template.content);
    return;
  }
  for (const part of template.content.querySelectorAll("[data-part]")) {
    const former = document.getElementById(part.id);
    for (const details of part.querySelectorAll("details")) {
      details.open = document.getElementById(details.id)?.open ?? false;
    }
    // What somebody reads with the keyboard, or has selected, stays.
    const selection = getSelection();
    const isSelected = selection && !selection.isCollapsed && selection.containsNode(former, true);
    if (former.outerHTML !== part.outerHTML && !isSelected) {
      const scrolled = [...former.querySelectorAll(".scroll")].map((box) => [box.scrollLeft, box.scrollTop]);
      const focused = [...former.querySelectorAll("[tabindex], summary, a, button")].indexOf(document.activeElement);
      former.replaceWith(part);
      part.querySelectorAll(".scroll").forEach((box, index) => box.scrollTo(...(scrolled[index] ?? [0, 0])));
      if (focused >= 0) {
        part.querySelectorAll("[tabindex], summary, a, button")[focused]?.focus({ preventScroll: true });
      }
    }
  }
}

async function read() {
  try {
    const answer = await fetch(updates.dataset.from, { signal: AbortSignal.timeout(BOUND_MS) });
    if (!answer.ok || answer.redirected) {
      throw new Error(answer.redirected ? "the session is over: reload the page" : `it answers ${answer.status}`);
    }
    put(await answer.text());
    answeredAt = Date.now();
    updates.classList.remove("bad");
    updated.textContent = `Updated ${new Date(answeredAt).toISOString().slice(11, 19)} UTC, every ${everyMs / 1000} s`;
  } catch (error) {
    const seconds = Math.round((Date.now() - answeredAt) / 1000);
    updates.classList.add("bad");
    updated.textContent = `These figures are ${seconds} s old. The console does not answer (${error.message})`;
  }
}

async function round() {
  clearTimeout(timer);
  if (paused || document.hidden) return;
  await read();
  clearTimeout(timer);
  timer = setTimeout(round, everyMs);
}

pause.hidden = false;
pause.addEventListener("click", () => {
  paused = !paused;
  pause.setAttribute("aria-pressed", String(paused));
  pause.textContent = paused ? "Go on" : "Pause";
  if (paused) {
    updated.textContent = `Paused at ${new Date(answeredAt).toISOString().slice(11, 19)} UTC`;
  }
  round();
});
document.addEventListener("visibilitychange", round);
updated.textContent = `Updated ${new Date(answeredAt).toISOString().slice(11, 19)} UTC, every ${everyMs / 1000} s`;
timer = setTimeout(round, everyMs);
