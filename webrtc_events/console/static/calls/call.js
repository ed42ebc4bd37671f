// The page of a call: live, replayed, each entry in a panel, the ladder as a picture.

import { watch } from "./live.js";
import { panelOf } from "./panel.js";
import { offerPictures } from "./pictures.js";
import { replayOf } from "./replay.js";
import { moveAmongRows } from "./rows.js";

const page = document.querySelector(".call");
const rows = moveAmongRows(page.querySelector(".ladder-scroll"));
const replay = replayOf(page, rows);
const panel = panelOf(page, rows);
offerPictures(page);
if (page.dataset.news) {
  watch(page, {
    before: () => rows.remember(),
    after: () => {
      rows.refresh();
      replay.refresh();
      panel.refresh();
    },
  });
}
