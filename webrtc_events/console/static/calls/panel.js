// The panel beside the ladder: an entry in full. The ladder stays usable while it is open.

export function panelOf(page, rows) {
  const panel = page.querySelector(".panel");
  const content = panel.querySelector(".panel-content");
  const title = panel.querySelector(".panel-title");
  let opener = null;
  let open = "";
  let asked = 0;

  async function textOf(address) {
    if (address.startsWith("#")) return document.getElementById(address.slice(1)).innerHTML;
    const answer = await fetch(`${address}?bare`);
    if (answer.ok) return answer.text();
    return "<p>This entry is not kept any more.</p>";
  }

  function mark() {
    for (const row of rows.all()) {
      if (panel.open && row.dataset.key === open) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    }
  }

  async function show(link) {
    const turn = ++asked;
    let html = "<p>The console does not answer.</p>";
    try {
      html = await textOf(link.getAttribute("href"));
    } catch {
      // Said in the panel.
    }
    // Another one was asked for meanwhile.
    if (turn !== asked) return;
    opener = link;
    open = link.dataset.key ?? "";
    content.innerHTML = html;
    const heading = content.querySelector(".details-heading");
    title.textContent = heading?.textContent ?? "Entry";
    heading?.remove();
    if (!panel.open) panel.show();
    panel.scrollTop = 0;
    title.focus({ preventScroll: true });
    mark();
  }

  function close() {
    const row = rows.all().find((other) => other.dataset.key === open);
    panel.close();
    mark();
    (opener?.isConnected ? opener : row)?.focus({ preventScroll: true });
  }

  page.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-key], a[data-entry]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    show(link);
  });
  panel.querySelector(".close").addEventListener("click", close);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && panel.open) close();
  });
  // Somebody was quicker than this script: the browser has gone to the entry's place on the page, and goes there
  // again until all is loaded.
  const early = location.hash && rows.all().find((row) => row.getAttribute("href") === location.hash);
  if (early) {
    show(early);
    const goBack = () => requestAnimationFrame(() => early.scrollIntoView({ block: "nearest" }));
    if (document.readyState === "complete") goBack();
    else addEventListener("load", goBack, { once: true });
  }
  return { refresh: mark };
}
