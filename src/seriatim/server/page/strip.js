// The reading strip: each document as a band, with the passages at their places; those that the answer cites are lit.

import { el } from "./dom.js";
import { excerpt, plural } from "./text.js";

const MOST_ROWS = 8;
const LABEL_SHARE = 0.05; // of a band's width
const TIP_CHARACTERS = 420;

/**
 * The strip of an answer. `passages` stand in the order in which the model read them; `cited` holds numbers (from 1);
 * `find` gives the document of an id, if it is known; `open` is called with a passage's number.
 */
export function strip({ passages, cited, find, open }) {
  const ids = [...new Set(passages.map((passage) => passage.document_id))];
  const tip = el("div", { class: "tip", role: "tooltip", id: nextId(), hidden: true });
  const rows = ids.slice(0, MOST_ROWS).map((id) => row(id, passages, cited, find, open, tip));
  const element = el("div", { class: "strip", role: "toolbar", "aria-label": label(passages, cited, ids.length) }, ...rows, tip);
  if (ids.length > MOST_ROWS) element.append(el("p", { class: "hint" }, `and ${plural(ids.length - MOST_ROWS, "more document")}`));
  element.append(legend(passages, cited));
  const ticks = [...element.querySelectorAll(".tick")];
  const reach = (one) => ticks.forEach((tick) => (tick.tabIndex = tick === one ? 0 : -1));
  reach(ticks[0]);
  element.addEventListener("focusin", (event) => reach(event.target)); // Tab comes back to where one was
  element.addEventListener("keydown", (event) => move(event, ticks, tip));
  element.addEventListener("mouseleave", () => (tip.hidden = true));
  return element;
}

let count = 0;
const nextId = () => `tip-${(count += 1)}`;

function label(passages, cited, documents) {
  const where = documents === 1 ? "" : ` in ${plural(documents, "document")}`;
  return `Reading strip: ${plural(passages.length, "passage")}${where}, ${cited.size} cited. Arrow keys move, Enter opens the source.`;
}

function row(id, passages, cited, find, open, tip) {
  const info = find(id);
  const own = passages.map((passage, place) => [place + 1, passage]).filter(([, passage]) => passage.document_id === id);
  const length = Math.max(1, info?.characters ?? 0, ...own.map(([, passage]) => passage.end));
  const labels = labelled(own.filter(([number]) => cited.has(number)), length);
  const band = el("div", { class: "band" }, ...own.map(([number, passage]) => tick(number, passage, length, labels, open, tip)));
  const size = info ? (info.pages ? plural(info.pages, "page") : plural(info.characters, "character")) : "";
  return el(
    "div",
    { class: "strip-row" },
    el("div", { class: "strip-name" }, el("span", { class: "name" }, own[0][1].document), el("span", { class: "hint" }, size)),
    band,
  );
}

/** What stands below each cited passage, by number; of those too close for a label each, the first has them all. */
function labelled(lit, length) {
  const labels = new Map();
  let first;
  for (const [number, passage] of [...lit].sort(([, one], [, other]) => one.start - other.start)) {
    const apart = !first || (passage.start - first.passage.start) / length > LABEL_SHARE;
    if (apart) first = { number, passage };
    labels.set(first.number, apart ? `${number}` : `${labels.get(first.number)}, ${number}`);
    if (!apart) labels.set(number, "");
  }
  return labels;
}

function tick(number, passage, length, labels, open, tip) {
  const lit = labels.has(number);
  const state = lit ? "cited" : passage.read === false ? "found, not read" : "read";
  const page = passage.page ? `, page ${passage.page}` : "";
  const button = el("button", {
    type: "button",
    class: `tick ${lit ? "cited" : passage.read === false ? "unread" : "read"}`,
    "aria-label": `Passage ${number}${page}, ${state}: ${excerpt(passage.text, 80)}`,
    "aria-describedby": tip.id,
    "data-passage": number,
    onclick: () => open(number),
    onmouseenter: () => show(),
    onfocus: () => show(),
    onblur: () => (tip.hidden = true),
  });
  const left = (100 * passage.start) / length;
  button.style.left = `${left}%`;
  button.style.width = `${(100 * (passage.end - passage.start)) / length}%`;
  if (labels.get(number)) button.append(el("span", { class: "number", "aria-hidden": "true" }, labels.get(number)));

  function show() {
    tip.replaceChildren(
      el("p", { class: "tip-head" }, `Passage ${number}${page} · ${state} · rank ${passage.rank}`),
      el("p", { class: "tip-text" }, excerpt(passage.text, TIP_CHARACTERS)),
    );
    tip.style.setProperty("--at", String(left));
    tip.hidden = false;
    tip.style.top = `${button.parentElement.offsetTop + button.parentElement.offsetHeight + 6}px`;
  }
  return button;
}

function move(event, ticks, tip) {
  if (event.key === "Escape" && !tip.hidden) {
    tip.hidden = true;
    event.stopPropagation();
    return;
  }
  const at = ticks.indexOf(document.activeElement);
  const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: ticks.length - 1 }[event.key];
  if (at < 0 || to === undefined) return;
  event.preventDefault();
  ticks[Math.min(ticks.length - 1, Math.max(0, to))].focus();
}

function legend(passages, cited) {
  const unread = passages.filter((passage) => passage.read === false).length;
  const parts = [["read", `${passages.length - unread} read`]];
  if (unread) parts.push(["unread", `${unread} found, not needed`]);
  if (cited.size) parts.push(["cited", `${cited.size} cited`]);
  return el("p", { class: "legend" }, ...parts.map(([kind, words]) => el("span", { class: kind }, words)));
}
