// The source beside the answer: the document's text at a place, the quoted words marked, a PDF's page as it looks.

import * as api from "./api.js";
import { byId, cover, el, icon, refill } from "./dom.js";
import { announce, toast } from "./live.js";
import { codePoints, flowing, unwrapped } from "./text.js";

const AROUND = 2500; // characters shown before and after the place, and more at a time

/**
 * Show `document` of `library` at `range` {start, end}. `passages` and `citations` are those of the answer it is opened
 * from; `step` is called with the range of the passage before or after; `close` closes it.
 */
export async function showSource({ library, document: info, range, passages, citations, step, close }) {
  const panel = byId("source");
  const body = el("div", { class: "source-body", tabIndex: 0, role: "region", "aria-label": "Text of the document" });
  refill(panel, header(info, range, passages, step, close), body);
  const before = panel.hidden;
  panel.hidden = false;
  byId("panes").classList.add("with-source");
  byId("panes").classList.toggle("with-pages", Boolean(info.pages));
  cover();
  if (before) panel.querySelector("h2").focus();
  body.append(el("p", { class: "hint" }, "Opening…"));
  const marks = { passages, citations, range };
  try {
    if (info.pages) await showPages(body, library, info, marks);
    else await showText(body, library, info, marks);
    announce(`${info.name} is open at the place.`);
  } catch (error) {
    body.replaceChildren(el("p", { class: "error", role: "alert" }, error.message));
  }
}

/** The panel for a document that the library no longer has: only the words that the answer kept. */
export function showLost({ name, passage, close }) {
  const panel = byId("source");
  panel.replaceChildren(
    header({ name }, passage ?? { start: 0, end: 0 }, [], () => {}, close),
    el(
      "div",
      { class: "source-body" },
      el("p", { class: "error" }, "This document is no longer in the library. Add it again to see the place."),
      passage ? el("p", { class: "document-text" }, unwrapped(passage.text ?? passage.quote)) : null,
    ),
  );
  panel.hidden = false;
  byId("panes").classList.add("with-source");
  cover();
  panel.querySelector("h2").focus();
}

export function hideSource() {
  byId("source").hidden = true;
  byId("source").replaceChildren();
  byId("panes").classList.remove("with-source", "with-pages");
  cover();
}

function header(info, range, passages, step, close) {
  const at = passages.findIndex((passage) => passage.start <= range.start && range.start < passage.end);
  const go = (place, name, words) => arrow(name, words, passages[place], step);
  const steps = passages.length > 1 ? [go(at - 1, "previous", "Passage before"), el("span", { class: "hint" }, at < 0 ? "" : `${at + 1} of ${passages.length}`), go(at + 1, "next", "Passage after")] : [];
  return el(
    "header",
    { class: "source-head" },
    el("h2", { id: "source-name", tabIndex: -1, title: info.name }, info.name),
    el("div", { class: "source-steps" }, ...steps, el("button", { type: "button", class: "icon-button", onclick: close }, icon("close", "Close the source"))),
  );
}

/** A button that goes `to` a place; where there is none it is dim, and keeps the focus, which a disabled one would lose. */
function arrow(name, words, to, go) {
  return el("button", { type: "button", class: "icon-button", "aria-disabled": String(!to), onclick: () => to && go(to) }, icon(name, words));
}

async function showText(body, library, info, marks) {
  const { range } = marks;
  let shown = await api.documentText(library, info.id, Math.max(0, range.start - AROUND), range.end + AROUND);
  const text = el("div", { class: "document-text" });
  const earlier = more("Earlier", async () => {
    const part = await api.documentText(library, info.id, Math.max(0, shown.start - AROUND), shown.start);
    const { scrollTop, scrollHeight } = body;
    draw({ ...shown, text: part.text + shown.text, start: part.start });
    body.scrollTop = scrollTop + body.scrollHeight - scrollHeight;
  });
  const later = more("Later", async () => {
    const part = await api.documentText(library, info.id, shown.end, shown.end + AROUND);
    draw({ ...shown, text: shown.text + part.text, end: part.end });
  });
  // All of it anew, for a line may be divided between two parts.
  function draw(whole) {
    shown = whole;
    text.replaceChildren(...marked({ ...whole, text: unwrapped(whole.text) }, marks));
    earlier.hidden = whole.start <= 0;
    later.hidden = whole.end >= whole.length;
  }
  draw(shown);
  body.replaceChildren(earlier, text, later);
  bringIntoView(body);
}

async function showPages(body, library, info, marks) {
  const pages = await api.documentPages(library, info.id);
  const { range } = marks;
  const at = pages.findLast((page) => page.start <= range.start) ?? pages[0];
  await showPage(body, library, info, marks, pages, at);
}

async function showPage(body, library, info, marks, pages, page) {
  const read = await api.documentText(library, info.id, page.start, page.end);
  const part = { ...read, text: flowing(read.text) };
  const turn = (to) =>
    showPage(body, library, info, marks, pages, to).then(
      () => announce(`Page ${to.page}`),
      (error) => toast(error.message),
    );
  const place = pages.indexOf(page);
  const image = el("img", {
    class: "page-image",
    src: api.pageImage(library, info.id, page.page),
    alt: `Page ${page.page} of ${info.name}; its text stands beside it`,
    onerror: () => whole.replaceWith(el("p", { class: "hint page-image" }, "This page cannot be shown as an image; its text is complete.")),
  });
  const whole = el("a", { href: image.src, target: "_blank", rel: "noopener", title: "Open the page by itself" }, image);
  refill(
    body,
    el(
      "div",
      { class: "page-row" },
      arrow("previous", "Page before", pages[place - 1], turn),
      el("span", { class: "hint" }, `Page ${page.page} of ${pages.length}`),
      arrow("next", "Page after", pages[place + 1], turn),
    ),
    el("div", { class: "page" }, whole, el("div", { class: "document-text" }, ...marked(part, marks))),
  );
  bringIntoView(body);
}

/** A button that shows more by `act`. It is not disabled meanwhile, for it would lose the focus. */
function more(words, act) {
  let acting = false;
  const button = el("button", {
    type: "button",
    class: "text-button more",
    onclick: async () => {
      if (acting) return;
      acting = true;
      try {
        await act();
        if (button.hidden) button.parentElement.focus({ preventScroll: true }); // there is no more
      } catch (error) {
        toast(error.message);
      }
      acting = false;
    },
  }, words);
  return button;
}

/** A stretch of the document, as text nodes with the passages and the quoted words marked. */
function marked({ text, start }, { passages, citations, range }) {
  const points = codePoints(text);
  const end = start + points.length;
  const edges = new Set([start, end]);
  for (const span of [...passages, ...citations, range]) {
    for (const edge of [span.start, span.end]) if (edge > start && edge < end) edges.add(edge);
  }
  const cuts = [...edges].sort((a, b) => a - b);
  const within = (span, from, to) => span.start <= from && to <= span.end;
  return cuts.slice(0, -1).map((from, place) => {
    const to = cuts[place + 1];
    const words = points.slice(from - start, to - start);
    const quoted = citations.some((each) => within(each, from, to));
    const here = within(range, from, to);
    const passage = passages.some((each) => within(each, from, to));
    if (!quoted && !here && !passage) return words;
    const kind = ["quoted", "here", "passage"].filter((_, which) => [quoted, here, passage][which]).join(" ");
    return el(quoted || here ? "mark" : "span", { class: kind }, words);
  });
}

function bringIntoView(body) {
  const mark = body.querySelector(".here");
  if (mark) mark.scrollIntoView({ block: "center", behavior: "instant" });
  else body.scrollTop = 0;
}
