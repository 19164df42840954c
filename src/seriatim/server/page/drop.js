// Files and folders that are dropped on the page, wherever it is.

import { byId } from "./dom.js";
import { toast } from "./live.js";

/** `library()` names where files would go; `add(files)` is called with those dropped, of folders with those of `types`. */
export function dropping({ library, types, add }) {
  const target = byId("drop");
  let depth = 0; // dragenter and dragleave come for every element under the pointer

  // All else that is dragged, such as words into the question box, is the browser's business.
  const onFiles = (kind, act) =>
    addEventListener(kind, (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      act(event.dataTransfer);
    });
  const enter = (to) => {
    depth = Math.max(0, to);
    target.hidden = !depth;
  };

  onFiles("dragenter", () => {
    target.querySelector("p").textContent = `Drop to add to “${library()}”`;
    enter(depth + 1);
  });
  addEventListener("dragleave", () => enter(depth - 1));
  onFiles("dragover", () => {});
  onFiles("drop", (carried) => {
    enter(0);
    dropped(carried, types).then(add, (error) => toast(error.message));
  });
}

/** The files that were dropped, and of dropped folders those of a type that can be read. */
async function dropped(transfer, types) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.());
  if (!entries.some((entry) => entry?.isDirectory)) return [...transfer.files];
  const found = (await Promise.all(entries.filter(Boolean).map((entry) => below(entry, types)))).flat();
  if (!found.length) throw new Error("There is no document in this folder: text, Markdown, HTML, PDF, EPUB or DOCX.");
  return found;
}

async function below(entry, types) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // a hundred at a time
    if (!some.length) break;
    found.push(...some);
  }
  const wanted = ({ name, isDirectory }) => !name.startsWith(".") && (isDirectory || types.some((type) => name.toLowerCase().endsWith(type)));
  return (await Promise.all(found.filter(wanted).map((each) => below(each, types)))).flat();
}
