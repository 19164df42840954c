// What stands where no answer is yet: what to do next.

import { byId, el, icon, refill } from "./dom.js";
import { plural } from "./text.js";

/** Show it for a library with these documents; `choose` opens the file chooser, `coming()` counts files on their way. */
export function showWelcome(documents, { choose, coming }) {
  const place = byId("welcome");
  place.hidden = false;
  refill(place, ...(documents.length ? ready(documents) : coming() ? reading() : empty(choose)));
}

export function hideWelcome() {
  byId("welcome").hidden = true;
}

function empty(choose) {
  return [
    el("h1", {}, "Begin with a long document"),
    el(
      "button",
      { type: "button", class: "dropzone", onclick: choose },
      icon("file"),
      el("span", {}, "Choose files, or drop them anywhere"),
      el("span", { class: "hint" }, "Text, Markdown, HTML, PDF, EPUB, DOCX. They stay on this machine."),
    ),
    steps(),
  ];
}

function reading() {
  return [
    el("h1", {}, "Your documents are being read"),
    el("p", { class: "lead" }, "A long one takes some seconds. Ask as soon as the first is there."),
    steps(),
  ];
}

function ready(documents) {
  const what = documents.length > 1 ? `${plural(documents.length, "document")} are` : `${documents[0].name} is`;
  return [
    el("h1", {}, "What would you like to know?"),
    el("p", { class: "lead" }, `${what} ready. Ask for something that stands there: a person, a date, a reason, what changed.`),
    steps(),
  ];
}

function steps() {
  const step = (name, words) => el("li", {}, el("strong", {}, name), " ", words);
  return el(
    "ol",
    { class: "steps" },
    step("In order", "The passages that matter are read in the order in which they stand."),
    step("Corrected", "What a draft claims is looked up in the passages before you see it."),
    step("Checkable", "Each number in an answer opens the very sentence it rests on."),
  );
}
