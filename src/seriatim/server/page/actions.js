// What one can do with a kept answer: copy it, link it, export it, remove it.

import * as api from "./api.js";
import { ask } from "./dialog.js";
import { el, icon } from "./dom.js";
import { toast } from "./live.js";
import { format } from "./route.js";
import { excerpt, fileName } from "./text.js";

/** The row of buttons under an answer. */
export function actions(answer, { removed }) {
  const button = (name, words, act) => el("button", { type: "button", class: "action", onclick: () => attempt(act) }, icon(name), words);
  const file = (words, type, href) => el("a", { class: "action", href, download: `${fileName(answer.question, `answer-${answer.id}`)}.${type}` }, icon("save"), words);
  const json = file("Export JSON", "json", `/api/answers/${encodeURIComponent(answer.id)}`);
  return el(
    "div",
    { class: "actions", role: "group", "aria-label": "This answer" },
    button("copy", "Copy as Markdown", async () => copy(await api.answerMarkdown(answer.id), "Copied, with its citations.")),
    button("link", "Copy link", () => copy(new URL(format({ answer: answer.id }), location.href).href, "The link is copied.")),
    file("Export Markdown", "md", api.markdownPath(answer.id)),
    json,
    button("bin", "Remove", () => remove(answer, removed)),
  );
}

async function attempt(act) {
  try {
    await act();
  } catch (error) {
    toast(error.message);
  }
}

async function copy(text, done) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    throw new Error("The browser does not let this page copy; use Export instead.");
  }
  toast(done);
}

async function remove(answer, removed) {
  const act = () => api.removeAnswer(answer.id);
  const gone = await ask({ title: "Remove this answer?", text: excerpt(answer.question, 200), ok: "Remove", removes: true, act });
  if (gone) removed(answer.id);
}
