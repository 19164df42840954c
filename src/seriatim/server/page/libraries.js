// Which library is asked; making and removing one.

import * as api from "./api.js";
import { ask } from "./dialog.js";
import { byId, el } from "./dom.js";
import { plural } from "./text.js";

const DEFAULT = "default"; // the command line's, which stays

/** `choose(name)` is called when another library is chosen, `changed()` once one is made or removed. */
export function libraryChooser({ choose, changed }) {
  const select = byId("library");
  let listed = []; // empty: to be asked for

  select.addEventListener("change", () => choose(select.value));
  byId("library-new").addEventListener("click", async () => {
    let made;
    const act = async (name) => {
      if (!/^[a-z0-9-]{1,64}$/.test(name)) throw new Error("A name has small letters, digits and hyphens, at most 64.");
      await api.createLibrary(name);
      made = name;
    };
    const text = "A library keeps documents that are asked together.";
    if (await ask({ title: "New library", text, label: "Name", ok: "Make it", act })) leaveFor(made);
  });
  byId("library-remove").addEventListener("click", async () => {
    const name = select.value;
    listed = await api.libraries().catch(() => listed); // documents have come and gone since
    const size = listed.find((library) => library.name === name)?.documents ?? 0;
    const text = `“${name}” holds ${plural(size, "document")}. They are removed for good, and the answers kept from them.`;
    const act = () => api.removeLibrary(name);
    if (await ask({ title: "Remove this library?", text, ok: "Remove", removes: true, act })) leaveFor(null);
  });

  function leaveFor(name) {
    listed = [];
    changed();
    select.focus(); // the button may be out of use there
    choose(name);
  }

  return {
    async load() {
      listed = await api.libraries();
    },
    /** They have changed elsewhere. */
    forget: () => (listed = []),
    names: () => listed.map((library) => library.name),
    show(name) {
      select.replaceChildren(
        ...listed.map((library) =>
          el("option", { value: library.name, selected: library.name === name }, library.error ? `${library.name} (damaged)` : library.name),
        ),
      );
      byId("library-remove").disabled = !name || name === DEFAULT;
    },
  };
}
