// The rows of the ladder: one stop for the Tab key, arrows go from row to row, and new rows keep the reader's place.

const AT_END_PX = 40;

export function moveAmongRows(scroller) {
  let kept = null;
  const rows = () => [...scroller.querySelectorAll("a[data-key]")];
  const visible = () => rows().filter((row) => !row.classList.contains("is-later"));

  function stopAt(row) {
    for (const other of rows()) other.setAttribute("tabindex", other === row ? "0" : "-1");
  }

  function refresh() {
    const all = rows();
    const same = kept?.key ? all.find((row) => row.dataset.key === kept.key) : undefined;
    stopAt(same ?? all[0]);
    if (!kept) return;
    const known = new Set(kept.keys);
    if (known.size) {
      for (const row of all) if (!known.has(row.dataset.key)) row.classList.add("is-new");
    }
    scroller.scrollLeft = kept.left;
    scroller.scrollTop = kept.atEnd ? scroller.scrollHeight : kept.top;
    if (same && kept.focused) same.focus({ preventScroll: true });
    kept = null;
  }

  function remember() {
    const focused = document.activeElement?.closest?.("a[data-key]");
    const stop = focused ?? scroller.querySelector('a[data-key][tabindex="0"]');
    const left = scroller.scrollHeight - scroller.clientHeight;
    kept = {
      key: stop?.dataset.key,
      keys: rows().map((row) => row.dataset.key),
      focused: Boolean(focused),
      left: scroller.scrollLeft,
      top: scroller.scrollTop,
      atEnd: left > 0 && left - scroller.scrollTop < AT_END_PX,
    };
  }

  scroller.addEventListener("focusin", ({ target }) => {
    const row = target.closest("a[data-key]");
    if (row) stopAt(row);
  });
  scroller.addEventListener("keydown", (event) => {
    const row = event.target.closest("a[data-key]");
    if (!row || event.altKey || event.ctrlKey || event.metaKey) return;
    const all = visible();
    const place = all.indexOf(row);
    const wanted = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: all.length - 1 }[event.key];
    if (wanted === undefined || !all[wanted]) return;
    event.preventDefault();
    all[wanted].focus();
  });
  refresh();
  return { refresh, remember, all: rows, scroller };
}
