// Replay: shows the rows up to a moment of the call, which a slider or time itself moves.

// A pause that would last longer than this while watching is cut to it.
const LONGEST_PAUSE_MS = 800;

export function replayOf(page, rows) {
  const tools = page.querySelector(".replay");
  const [play, back, on, slider, where, speed, cut] = ["play", "back", "on", "moment", "where", "speed", "cut"].map(
    (name) => tools.querySelector(`.${name}`),
  );
  let timed = [];
  let moments = [];
  let moment = Infinity;
  let running = 0;
  let before = 0;

  const first = () => moments[0] ?? 0;
  const last = () => moments.at(-1) ?? 0;
  const atEnd = () => moment >= last();

  function refresh() {
    timed = [...rows.scroller.querySelectorAll("[data-at]")].map((element) => [Number(element.dataset.at), element]);
    moments = [...new Set(rows.all().map((row) => Number(row.dataset.at)))].sort((a, b) => a - b);
    tools.hidden = moments.length < 2;
    slider.min = 0;
    slider.max = Math.max(last() - first(), 1);
    show(moment);
  }

  function show(wanted) {
    // At the end it stays at the end, also when more comes.
    moment = wanted >= last() ? Infinity : Math.max(wanted, first());
    const now = Math.min(moment, last());
    for (const [at, element] of timed) element.classList.toggle("is-later", at > moment);
    const passed = moments.filter((at) => at <= now).length;
    const time = new Date(now).toISOString().slice(11, 23);
    slider.value = now - first();
    slider.setAttribute("aria-valuetext", `${time}, ${passed} of ${moments.length}`);
    where.textContent = time;
    back.disabled = passed <= 1;
    on.disabled = atEnd();
  }

  function follow() {
    const shown = rows.all().filter((row) => !row.classList.contains("is-later"));
    const row = shown.at(-1)?.getBoundingClientRect();
    const frame = rows.scroller.getBoundingClientRect();
    if (!row) return;
    const below = row.bottom - frame.bottom + 24;
    const above = frame.top + 90 - row.top;
    if (below > 0) rows.scroller.scrollTop += below;
    else if (above > 0) rows.scroller.scrollTop -= above;
  }

  function stop() {
    cancelAnimationFrame(running);
    running = 0;
    label("▶", "Play");
  }

  function label(sign, word) {
    play.firstElementChild.textContent = sign;
    play.querySelector(".word").textContent = word;
  }

  function frame(now) {
    const factor = Number(speed.value);
    let next = Math.min(moment, last()) + (now - before) * factor;
    before = now;
    const coming = moments.find((at) => at > next);
    if (cut.checked && coming !== undefined) next = Math.max(next, coming - LONGEST_PAUSE_MS * factor);
    show(next);
    follow();
    if (atEnd()) stop();
    else running = requestAnimationFrame(frame);
  }

  function start() {
    if (atEnd()) show(first());
    label("❚❚", "Pause");
    before = performance.now();
    running = requestAnimationFrame(frame);
  }

  function step(wanted) {
    stop();
    if (wanted === undefined) return;
    show(wanted);
    follow();
  }

  play.addEventListener("click", () => (running ? stop() : start()));
  back.addEventListener("click", () => step(moments.findLast((at) => at < Math.min(moment, last()))));
  on.addEventListener("click", () => step(moments.find((at) => at > moment)));
  slider.addEventListener("input", () => step(first() + Number(slider.value)));
  slider.addEventListener("keydown", (event) => {
    // From row to row: a call lasts for minutes, and its rows for milliseconds.
    const buttons = { ArrowLeft: back, ArrowDown: back, ArrowRight: on, ArrowUp: on };
    const button = buttons[event.key];
    if (!button) return;
    event.preventDefault();
    button.click();
  });
  refresh();
  return { refresh };
}
