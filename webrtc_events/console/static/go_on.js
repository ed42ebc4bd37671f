// A search goes on by itself, page after page, until it has enough, all was looked at, or somebody stops it.

const ENOUGH = 50;
const found = document.querySelector("#found");
const pages = document.querySelector("nav.pages");
let stopped = false;

function rows(part) {
  return part.querySelectorAll("tbody tr");
}

function take(page) {
  const others = page.querySelector("#found");
  if (rows(others).length > 0) {
    if (rows(found).length > 0) {
      found.querySelector("tbody").append(...rows(others));
    } else {
      found.replaceChildren(...others.children);
    }
  } else if (rows(found).length === 0) {
    found.replaceChildren(...others.children);
  }
  pages.replaceChildren(...page.querySelector("nav.pages").children);
}

function next() {
  return pages.querySelector("a[data-goes-on]");
}

function offerStop() {
  const stop = document.createElement("button");
  stop.textContent = "Stop";
  stop.addEventListener("click", () => { stopped = true; });
  next().replaceWith(stop);
}

async function goOn() {
  while (!stopped && next() && rows(found).length < ENOUGH) {
    const address = next().href;
    offerStop();
    const answer = await fetch(address, { headers: { Accept: "text/html" } });
    if (!answer.ok || answer.redirected) {
      location.assign(address);
      return;
    }
    take(new DOMParser().parseFromString(await answer.text(), "text/html"));
  }
}

if (found && pages && next()) {
  await goOn();
}
