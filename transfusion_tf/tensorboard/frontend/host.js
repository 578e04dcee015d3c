/** @file What the page around us gives: theme, URL, reloads; or none of it. */

import { DEFAULTS, parse, serialize } from "./state.js";

const PLUGIN = "transfusion";
const PREFIX = `p.${PLUGIN}.`;

/**
 * TensorBoard's page around our frame.
 *
 * The frame has the page's origin. Where a notebook or a proxy has put us
 * elsewhere, each access that fails is replaced: the theme by the system's, the
 * URL by memory, reloads by none.
 */
export class TensorBoardHost {
  #window;

  /** @param {Window} [frame] Ours. */
  constructor(frame = window) {
    this.#window = frame;
    attempt(() => {
      frame.frameElement.title = "Transfusion";
    });
  }

  /** @returns {"light"|"dark"} */
  theme() {
    return (
      attempt(() => {
        const { classList } = this.#window.parent.document.body;
        return classList.contains("dark-mode") ? "dark" : "light";
      }) ?? systemTheme(this.#window)
    );
  }

  /** @param {function(): void} listener Called when the theme may have changed. */
  onTheme(listener) {
    attempt(() => {
      // Of the parent's own window: an observer lives as long as its window.
      new this.#window.MutationObserver(listener).observe(
        this.#window.parent.document.body,
        { attributes: true, attributeFilter: ["class"] },
      );
    });
    watchSystemTheme(this.#window, listener);
  }

  /** @returns {Object<string, string>} The state in the URL. */
  readState() {
    // The official message for it answers {} when the page has just loaded.
    const hash = attempt(() => this.#window.parent.location.hash) ?? "";
    const state = parse(hash.replace(/^#/, ""), PREFIX);
    return { ...state, runs: state.runs || this.#runFilter() };
  }

  /** @param {Object<string, string>} state */
  writeState(state) {
    const { parent } = this.#window;
    const written = attempt(() => {
      const storage = parent.tensorboard.tf_storage;
      for (const [key, defaultValue] of Object.entries(DEFAULTS)) {
        storage.setString(PREFIX + key, state[key], {
          defaultValue,
          useLocationReplace: true,
        });
      }
      return true;
    });
    if (written) return;
    attempt(() => {
      const text = serialize(state, PREFIX);
      parent.history.replaceState(
        parent.history.state,
        "",
        `#${PLUGIN}${text && `&${text}`}`,
      );
    });
  }

  /** @param {function(): void} listener Called when the URL has changed. */
  onState(listener) {
    attempt(() => {
      const { parent } = this.#window;
      const changed = () => {
        const [plugin] = parent.location.hash.slice(1).split("&");
        if (plugin === PLUGIN) listener();
      };
      parent.addEventListener("hashchange", changed);
      this.#window.addEventListener("pagehide", () =>
        parent.removeEventListener("hashchange", changed),
      );
    });
  }

  /**
   * Tells of new data: TensorBoard's button, or its automatic reload.
   *
   * A hidden tab keeps its frame and hears of every reload; it is told once,
   * when it is shown again.
   *
   * @param {function(): void} listener
   */
  onReload(listener) {
    const { documentElement } = this.#window.document;
    const hidden = () => this.#window.innerHeight === 0;
    let late = false;
    connect(this.#window, (type) => {
      if (type !== "experimental.DataReloaded") return;
      if (hidden()) late = true;
      else listener();
    });
    new ResizeObserver(() => {
      if (!late || hidden()) return;
      late = false;
      listener();
    }).observe(documentElement);
  }

  #runFilter() {
    return (
      attempt(() =>
        new URLSearchParams(this.#window.parent.location.search).get(
          "runFilter",
        ),
      ) ?? ""
    );
  }
}

/** A page of our own: a report without a server. */
export class PageHost {
  /** @returns {"light"|"dark"} */
  theme() {
    return systemTheme(window);
  }

  /** @param {function(): void} listener */
  onTheme(listener) {
    watchSystemTheme(window, listener);
  }

  /** @returns {Object<string, string>} */
  readState() {
    return parse(window.location.hash.replace(/^#/, ""));
  }

  /** @param {Object<string, string>} state */
  writeState(state) {
    attempt(() => window.history.replaceState(null, "", `#${serialize(state)}`));
  }

  /** @param {function(): void} listener */
  onState(listener) {
    window.addEventListener("hashchange", listener);
  }

  /** Nothing new comes into a page. */
  onReload() {}
}

/**
 * Opens a channel to TensorBoard's experimental plugin library.
 *
 * @param {Window} frame
 * @param {function(string): void} listener Called with each message's type.
 */
function connect(frame, listener) {
  attempt(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = (event) => {
      const { type, id, isReply } = JSON.parse(event.data);
      if (isReply) return;
      const reply = { type, id, payload: null, error: null, isReply: true };
      port1.postMessage(JSON.stringify(reply));
      listener(type);
    };
    frame.parent.postMessage("experimental.bootstrap", "*", [port2]);
  });
}

function systemTheme(frame) {
  return attempt(
    () => frame.matchMedia("(prefers-color-scheme: dark)").matches,
  )
    ? "dark"
    : "light";
}

function watchSystemTheme(frame, listener) {
  attempt(() =>
    frame
      .matchMedia("(prefers-color-scheme: dark)")
      .addEventListener("change", listener),
  );
}

/** What a foreign page gives, or undefined where it refuses. */
function attempt(work) {
  try {
    return work();
  } catch {
    return undefined;
  }
}
