// The documents of a library: the list, which of them are asked, and removing one.

import * as api from "./api.js";
import { ask } from "./dialog.js";
import { byId, el, icon, refill } from "./dom.js";
import { plural } from "./text.js";

/** `open` shows a document's beginning; `removed` is called after one is gone. */
export function documentList({ open, removed }) {
  let listed = [];
  let drawn = false; // `listed` is what is shown
  let library = null;
  const asked = new Set(); // ids; empty: all are asked

  function draw() {
    for (const id of asked) if (!listed.some((info) => info.id === id)) asked.delete(id);
    refill(byId("documents"), ...listed.map(item));
    hint();
    drawn = true;
  }

  function hint() {
    const all = !asked.size;
    byId("documents-hint").textContent = !listed.length
      ? "None yet. Add files, or drop them anywhere on this page."
      : all
        ? listed.length > 1 ? "All are asked. Tick some to ask those alone." : ""
        : `${plural(asked.size, "document")} of ${listed.length} ${asked.size === 1 ? "is" : "are"} asked.`;
  }

  function item(info) {
    const name = info.name;
    const tick = el("input", {
      type: "checkbox",
      checked: asked.has(info.id),
      "aria-label": `Ask ${name}`,
      onchange: (event) => {
        if (event.target.checked) asked.add(info.id);
        else asked.delete(info.id);
        hint();
      },
    });
    const size = info.pages ? plural(info.pages, "page") : plural(info.characters, "character");
    return el(
      "li",
      { class: "document" },
      listed.length > 1 ? tick : icon("file"),
      el("button", { type: "button", class: "document-name", title: name, onclick: () => open(info) }, el("span", { class: "name" }, name), el("span", { class: "hint" }, size)),
      el("button", { type: "button", class: "icon-button quiet", onclick: () => remove(info) }, icon("bin", `Remove ${name}`)),
    );
  }

  async function remove(info) {
    const act = () => api.removeDocument(library, info.id);
    const text = `${info.name} leaves the library. Answers that cite it stay, without their source.`;
    if (await ask({ title: "Remove this document?", text, ok: "Remove", removes: true, act })) removed();
  }

  /** Another library's documents never stand under a name that is not theirs, not even where it cannot be loaded. */
  function leave() {
    listed = [];
    drawn = false;
    asked.clear();
    byId("documents").replaceChildren();
    byId("documents-hint").textContent = "";
  }

  return {
    /** Show those of a library; whether there was anything to change. */
    async load(name) {
      if (library !== name) leave();
      library = name;
      const found = await api.documents(name);
      if (library !== name) return false; // another one has been chosen since
      if (drawn && JSON.stringify(found) === JSON.stringify(listed)) return false;
      listed = found;
      draw();
      return true;
    },
    all: () => listed,
    /** The document of that id; undefined where it has been removed. */
    find: (id) => listed.find((info) => info.id === id),
    /** The ids of those that are asked, or null for all. */
    asked: () => (asked.size ? [...asked] : null),
  };
}
