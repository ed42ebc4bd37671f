// The behaviours of the sink: sets and removes them, and shows which there are.

const panel = document.querySelector("#behaviours");
const form = document.querySelector("#behaviour");
const fault = document.querySelector("#behaviour-fault");
const list = document.querySelector("#behaviours-set");
const count = document.querySelector("#behaviours-count");
const template = document.querySelector("#behaviour-row");
const { path, answer, status, retryAfter, count: times, handshake } = form.elements;

let shown = "";

// What is set changes by itself: counts go down, other pages and programs set some. Focus stays where it is.
export function showBehaviours(behaviours) {
  const text = JSON.stringify(behaviours);
  if (text === shown) return;
  shown = text;
  const number = behaviours.length;
  count.textContent = number === 0 ? "The sink answers as it should." : `${number} set`;
  count.classList.toggle("repeated", number > 0);
  const focused = list.contains(document.activeElement) ? document.activeElement.closest("li").dataset.path : null;
  list.replaceChildren(...behaviours.map(rowOf));
  if (focused === null) return;
  const again = [...list.children].find((row) => row.dataset.path === focused);
  (again?.querySelector("button") ?? panel.querySelector("summary")).focus();
}

function rowOf(behaviour) {
  const row = template.content.firstElementChild.cloneNode(true);
  row.dataset.path = behaviour.path;
  row.querySelector(".path").textContent = behaviour.path;
  row.querySelector(".answer").textContent = behaviour.answer;
  row.querySelector(".terms").textContent = terms(behaviour).join(", ");
  const button = row.querySelector("button");
  button.setAttribute("aria-label", `Remove the behaviour of ${behaviour.path}`);
  button.addEventListener("click", () => change(behaviour.path, { method: "DELETE" }));
  return row;
}

function terms(behaviour) {
  const { count: left } = behaviour;
  return [
    ...(behaviour.retryAfter === null ? [] : [`Retry-After ${behaviour.retryAfter} s`]),
    left === null ? "until it is removed" : `for ${left} more request${left === 1 ? "" : "s"}`,
    ...(behaviour.handshake ? ["the handshake too"] : []),
  ];
}

async function change(place, options) {
  const segments = place.split("/").filter(Boolean).map(encodeURIComponent);
  let message = "";
  try {
    const answered = await fetch(`_behaviours/${segments.join("/")}`, options);
    // Somebody else was quicker to remove it, or its last request has come.
    if (!answered.ok && answered.status !== 404) message = (await answered.json()).message;
    else showBehaviours(await (await fetch("_behaviours")).json());
  } catch {
    message = "The sink does not answer.";
  }
  fault.textContent = message;
  fault.hidden = !message;
}

function number(field) {
  return field.value === "" || field.closest("label").hidden ? null : field.valueAsNumber;
}

function showFields() {
  status.closest("label").hidden = answer.value !== "other";
  status.required = answer.value === "other";
  retryAfter.closest("label").hidden = Number.isNaN(Number(answer.value)) && answer.value !== "other";
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const given = answer.value === "other" ? status.valueAsNumber : Number(answer.value);
  const body = {
    answer: Number.isNaN(given) ? answer.value : given,
    retryAfter: number(retryAfter),
    count: number(times),
    handshake: handshake.checked,
  };
  change(path.value, { method: "PUT", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
});
answer.addEventListener("input", showFields);
showFields();
