// The section Simulate: shows how simulations go on, and the fields that matter for the chosen call.

const EVERY_MS = 1000;
const SELDOM_MS = 5000;

const runs = document.querySelector("#runs");
const away = document.querySelector("#away");
const call = document.querySelector("#call");
const composed = document.querySelector("#composed");
const token = document.querySelector("meta[name=csrf-token]")?.content;

// Fields

function showFields() {
  composed.hidden = call.value !== "composed";
}

call.addEventListener("input", showFields);
showFields();

// Simulations: what is replaced keeps its focus, and stays open or closed.

let shown = "";

function keyed(element) {
  return element?.closest("[data-key]")?.dataset.key;
}

function replace(html) {
  if (html === shown) return;
  shown = html;
  const focused = runs.contains(document.activeElement) ? keyed(document.activeElement) : undefined;
  const open = new Map([...runs.querySelectorAll("details")].map((details) => [details.dataset.key, details.open]));
  runs.innerHTML = html;
  for (const details of runs.querySelectorAll("details")) {
    if (open.has(details.dataset.key)) details.open = open.get(details.dataset.key);
  }
  if (focused === undefined) return;
  const again = [...runs.querySelectorAll("a, button, summary")].find((element) => keyed(element) === focused);
  (again ?? runs.querySelector("a, button, summary"))?.focus();
}

async function look() {
  const answer = await fetch(runs.dataset.address);
  if (!answer.ok) throw new Error(answer.statusText);
  replace(await answer.text());
}

async function lookOnce() {
  try {
    await look();
    away.hidden = true;
  } catch {
    away.hidden = false;
  }
}

async function watch() {
  if (!document.hidden) await lookOnce();
  setTimeout(watch, runs.querySelector("button") ? EVERY_MS : SELDOM_MS);
}

// Without leaving the page, so that what somebody types meanwhile stays.
runs.addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await fetch(event.target.action, { method: "POST", headers: { "X-CSRF-Token": token }, redirect: "manual" });
  } catch {
    away.hidden = false;
  }
  lookOnce();
});

document.addEventListener("visibilitychange", () => { if (!document.hidden) lookOnce(); });
watch();
