/** @file The door: TensorBoard imports this module and calls `render()`. */

import { start } from "./app.js";
import { errorMessage } from "./card.js";
import { el, replace } from "./dom.js";
import { PageHost, TensorBoardHost } from "./host.js";
import { EmbeddedSource, HttpSource } from "./source.js";

/**
 * Shows the tab; an error is shown in its place, never a blank page.
 *
 * A page that holds its data in `<script type="application/json"
 * id="transfusion-data">`, and our style sheet, needs no server.
 *
 * @returns {Promise<void>}
 */
export async function render() {
  try {
    document.documentElement.lang = "en";
    document.title = "Transfusion";
    const data = document.getElementById("transfusion-data");
    if (data) {
      const source = new EmbeddedSource(JSON.parse(data.textContent));
      await start(source, new PageHost());
    } else {
      await styleSheet("./static/style.css");
      await start(new HttpSource(), new TensorBoardHost());
    }
  } catch (error) {
    console.warn("transfusion", error);
    replace(
      document.body,
      el(
        "main",
        { class: "failed" },
        el("h1", {}, "Transfusion"),
        el(
          "div",
          { role: "alert" },
          errorMessage(error, "The tab as a whole", () => render()),
        ),
      ),
    );
    document.documentElement.dataset.ready = "failed";
  }
}

/** Without it the tab is ugly, not useless: loaded or not, we go on. */
function styleSheet(href) {
  const known = document.querySelector(`link[href="${href}"]`);
  if (known) return Promise.resolve();
  return new Promise((resolve) => {
    document.head.append(
      el("link", { rel: "stylesheet", href, onload: resolve, onerror: resolve }),
    );
  });
}
