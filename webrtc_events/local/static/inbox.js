// The inbox: adds new rows to the shown ones, so that the reader's place and open rows stay.

import { showBehaviours } from "./behaviours.js";
import { copyButton } from "./copy.js";

const EVERY_MS = 1000;
const MAX_ROWS = 1000;
// Characters of one text that are shown; a link leads to the rest.
const MAX_TEXT = 100_000;

const rows = document.querySelector("#rows");
const template = document.querySelector("#row");
const tools = document.querySelector("#tools");
const count = document.querySelector("#count");
const empty = document.querySelector("#empty");
const nothing = document.querySelector("#nothing");
const away = document.querySelector("#away");
const news = document.querySelector("#news");

let inbox = null;
let last = 0;
let cleared = 0;
let unseen = 0;

// Rows

function rowOf(item) {
  const row = template.content.firstElementChild.cloneNode(true);
  const set = (name, text) => {
    const element = row.querySelector(`.${name}`);
    element.textContent = text;
    element.title = text;
  };
  set("path", item.path);
  set("type", item.type);
  set("state", item.state);
  set("number", item.sequence);
  set("subscription", item.subscription);
  const time = row.querySelector("time");
  time.dateTime = time.title = item.receivedAt;
  time.textContent = item.receivedAt.slice(11, 23);
  set("answered", String(item.answered));
  row.querySelector(".answered").classList.toggle("behaved", item.behaved);
  const result = row.querySelector(".result");
  result.textContent = item.valid ? (item.repeated ? "repeated" : "ok") : "invalid";
  result.classList.add(result.textContent);
  row.querySelector(".fault").hidden = item.valid;
  row.querySelector(".fault").textContent = item.fault;
  row.querySelector(".correlator").textContent = item.correlator;
  row.querySelector(".about").hidden = !item.correlator;
  row.item = item;
  return row;
}

rows.addEventListener("toggle", ({ target }) => { if (target.open && !target.loaded) load(target); }, true);

async function load(row) {
  row.loaded = true;
  const pre = row.querySelector("pre");
  const address = `_inbox/${row.item.number}`;
  let text = "It is no longer kept: the sink has restarted.";
  if (row.item.inbox === inbox) {
    try {
      const answer = await fetch(address);
      text = answer.ok ? await answer.text() : "It is no longer kept: newer notifications took its place.";
    } catch {
      text = "The sink does not answer.";
      row.loaded = false;
    }
  }
  pre.textContent = text.slice(0, MAX_TEXT);
  const more = row.querySelector(".more");
  more.hidden = text.length <= MAX_TEXT;
  more.querySelector("a").href = address;
  const button = row.querySelector("button");
  if (button.hidden) copyButton(button, () => text);
  button.hidden = false;
}

// Filter

function matches({ item }) {
  const { path, type, invalid } = tools.elements;
  return item.path.includes(path.value) && (!type.value || item.type === type.value) && !(invalid.checked && item.valid);
}

function filter() {
  for (const row of rows.children) row.hidden = !matches(row);
  showCount();
}

function saveFilter() {
  const { path, type, invalid } = tools.elements;
  const query = new URLSearchParams();
  if (path.value) query.set("path", path.value);
  if (type.value) query.set("type", type.value);
  if (invalid.checked) query.set("invalid", "1");
  history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
}

function loadFilter() {
  const query = new URLSearchParams(location.search);
  const { path, type, invalid } = tools.elements;
  path.value = query.get("path") ?? "";
  type.value = query.get("type") ?? "";
  if (type.selectedIndex < 0) type.selectedIndex = 0;
  invalid.checked = query.has("invalid");
}

function showCount() {
  const all = rows.childElementCount;
  const shown = rows.querySelectorAll(":scope > :not([hidden])").length;
  count.textContent = shown === all ? `${all} notification${all === 1 ? "" : "s"}` : `${shown} of ${all} shown`;
  empty.hidden = all > 0;
  nothing.hidden = all === 0 || shown > 0;
  document.title = all ? `Inbox (${all})` : "Inbox";
}

// The reader's place

function anchor() {
  const inSight = [...rows.children].filter((row) => !row.hidden && row.getBoundingClientRect().bottom > 0);
  const read = inSight.find((row) => row.open && row.getBoundingClientRect().top < innerHeight);
  return read ?? (scrollY > 0 ? inSight[0] : undefined);
}

function keepingPlace(change) {
  const kept = anchor();
  const before = kept?.getBoundingClientRect().top;
  change();
  if (!kept?.isConnected) return;
  const moved = kept.getBoundingClientRect().top - before;
  if (moved) scrollBy({ top: moved, behavior: "instant" });
}

function showNews(added) {
  unseen = scrollY > 0 ? unseen + added : 0;
  news.hidden = unseen === 0;
  news.textContent = `↑ ${unseen} new`;
}

addEventListener("scroll", () => { if (scrollY === 0) showNews(0); }, { passive: true });
news.addEventListener("click", () => scrollTo({ top: 0 }));

// What is new

function add(items) {
  const added = document.createDocumentFragment();
  for (const item of items.toReversed()) added.append(rowOf(item));
  const fresh = [...added.children];
  for (const row of fresh) row.hidden = !matches(row);
  rows.prepend(added);
  // Somebody reads what is open.
  for (const row of [...rows.children].slice(MAX_ROWS)) if (!row.open) row.remove();
  return fresh.filter((row) => !row.hidden).length;
}

function removeCleared() {
  for (const row of [...rows.children]) {
    if (row.item.inbox !== inbox || row.item.number <= cleared) row.remove();
  }
}

async function ask(after) {
  return (await fetch(`_inbox/rows?after=${after}`)).json();
}

async function look() {
  let found = await ask(last);
  if (found.inbox !== inbox) {
    // The sink has restarted and counts from 1 again. What is shown stays.
    if (last) found = await ask(0);
    inbox = found.inbox;
    last = cleared = 0;
  }
  showBehaviours(found.behaviours);
  const items = found.rows.map((item) => ({ ...item, inbox }));
  const clearedMore = found.cleared > cleared;
  if (!items.length && !clearedMore) return;
  cleared = found.cleared;
  last = Math.max(last, cleared, ...items.map((item) => item.number));
  let added = 0;
  keepingPlace(() => {
    if (clearedMore) removeCleared();
    added = add(items);
  });
  showNews(added);
  showCount();
}

let looking = false;

async function lookOnce() {
  if (looking || document.hidden) return;
  looking = true;
  try {
    await look();
    away.hidden = true;
  } catch {
    away.hidden = false;
  }
  looking = false;
}

async function watch() {
  await lookOnce();
  setTimeout(watch, EVERY_MS);
}

document.querySelector("#clear").addEventListener("click", async () => {
  try {
    await fetch("_inbox", { method: "DELETE" });
  } catch {
    away.hidden = false;
  }
  lookOnce();
});

tools.addEventListener("submit", (event) => event.preventDefault());
tools.addEventListener("input", () => { saveFilter(); filter(); });
document.addEventListener("visibilitychange", lookOnce);
loadFilter();
showCount();
watch();
