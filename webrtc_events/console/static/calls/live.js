// Asks for what has come since, and puts it in the place of what is shown.

const EVERY_MS = 1000;
// A call without news for so long is asked for less often.
const QUIET_AFTER_MS = 120_000;
const SELDOM_MS = 5000;
const AWAY = "The console does not answer; this page keeps asking";
const LOGIN_OVER = "The login is over: reload the page";

export function watch(page, { before, after }) {
  const label = page.querySelector(".live");
  let cursor = page.dataset.cursor;
  let newsAt = performance.now();

  function say(text, away) {
    label.hidden = false;
    label.classList.toggle("away", away);
    // A screen reader speaks what changes, and only that.
    if (label.textContent !== text) label.textContent = text;
  }

  async function look() {
    const address = `${page.dataset.news}?after=${encodeURIComponent(cursor)}`;
    const answer = await fetch(address, { headers: { Accept: "application/json" } });
    if (answer.status === 204) return;
    if (answer.status === 401) throw new Error(LOGIN_OVER);
    if (!answer.ok) throw new Error(`${answer.status}`);
    const news = await answer.json();
    before();
    for (const [name, html] of Object.entries(news.parts)) page.querySelector(`[data-part="${name}"]`).innerHTML = html;
    page.querySelector(".call-note.empty").hidden = true;
    for (const part of page.querySelectorAll(".ladder-card, .as-table")) part.hidden = false;
    cursor = news.cursor;
    newsAt = performance.now();
    after();
  }

  async function turn() {
    if (!document.hidden) {
      try {
        await look();
        say("Live", false);
      } catch (error) {
        say(error.message === LOGIN_OVER ? LOGIN_OVER : AWAY, true);
      }
    }
    setTimeout(turn, performance.now() - newsAt > QUIET_AFTER_MS ? SELDOM_MS : EVERY_MS);
  }

  setTimeout(turn, EVERY_MS);
  say("Live", false);
}
