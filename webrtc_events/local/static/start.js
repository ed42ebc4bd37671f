// The start page: copies commands, and shows the health of the service.

import { copyButton } from "./copy.js";

const EVERY_MS = 5000;
const HEALTH = ["ok", "degraded", "unavailable"];
const status = document.querySelector("#status");
const checks = document.querySelector("#checks");

for (const command of document.querySelectorAll(".command")) {
  copyButton(command.querySelector("button"), () => command.querySelector("pre").textContent);
}

function pill(element, health, text) {
  element.className = `pill ${HEALTH.includes(health) ? health : "unavailable"}`;
  element.textContent = text;
}

function check(name, { status: health, detail }) {
  const term = document.createElement("dt");
  term.textContent = name;
  const value = document.createElement("dd");
  const mark = document.createElement("span");
  pill(mark, health, health);
  value.append(mark, detail ? ` ${detail}` : "");
  return [term, value];
}

async function look() {
  try {
    const ready = await (await fetch("readyz")).json();
    pill(status, ready.status, ready.status === "ok" ? "ready" : ready.status);
    checks.replaceChildren(...Object.entries(ready.checks).flatMap(([name, found]) => check(name, found)));
  } catch {
    pill(status, "unavailable", "does not answer");
    checks.replaceChildren();
  }
}

async function watch() {
  if (!document.hidden) await look();
  setTimeout(watch, EVERY_MS);
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
watch();
