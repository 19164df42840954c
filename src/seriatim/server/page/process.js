// How an answer came about: plan and thinking, folded once the answer stands, and each reflection with what it changed.

import { changes } from "./diff.js";
import { el } from "./dom.js";

const HEADINGS = { plan: "Plan", thinking: "Thinking", draft: "First draft" };

/** The view of a process; its methods take the text of the events as they come. */
export function processView() {
  const body = el("div", { class: "process-body" });
  const words = el("span", {}, "Plan and thinking");
  const fold = el("details", { class: "process", open: true, hidden: true }, el("summary", {}, words), body);
  const reflections = el("div", { class: "reflections" });
  const element = el("div", {}, fold, reflections);
  const stretches = new Map();
  const drafts = [];
  let reflected = null; // the reflection that comes in, or that the draft which comes in answers

  function stretch(kind) {
    if (!stretches.has(kind)) {
      const text = el("p", { class: `stretch ${kind}` });
      stretches.set(kind, text);
      fold.hidden = false;
      body.append(el("h4", {}, HEADINGS[kind]), text);
    }
    return stretches.get(kind);
  }

  function append(kind, text) {
    if (!stretches.has(kind) && !text.trim()) return; // line breaks between tags: nothing of its kind has come yet
    const at = stretch(kind);
    at.append(at.textContent ? text : text.trimStart());
  }

  function reflect(text, segment) {
    if (reflected?.segment !== segment) {
      reflected = reflection(reflections.childElementCount + 1, segment);
      reflections.append(reflected.element);
    }
    const at = reflected.text;
    at.append(at.textContent ? text : text.trimStart());
  }

  return {
    element,
    plan: (text) => append("plan", text),
    thinking: (text) => append("thinking", text),
    reflection: reflect,
    /** A new draft begins: what changes now is the last reflection's doing. */
    beginDraft() {
      drafts.push("");
    },
    draft(text) {
      if (!drafts.length) drafts.push("");
      drafts[drafts.length - 1] += text;
      if (drafts.length === 1) append("draft", text);
      else reflected?.show(drafts.at(-2), drafts.at(-1), false);
    },
    /** The draft that came in is whole. */
    endDraft() {
      if (drafts.length > 1) reflected?.show(drafts.at(-2), drafts.at(-1), true);
    },
    /** The answer begins: fold the thinking away, unless it is being read. */
    fold() {
      if (!fold.contains(document.activeElement)) fold.open = false;
    },
    /** Show a kept answer's process. */
    keep(answer) {
      if (answer.plan) append("plan", answer.plan);
      if (answer.thinking) append("thinking", answer.thinking);
      const kept = answer.drafts ?? [];
      if (kept.length) append("draft", kept[0]);
      answer.reflections.forEach((text, place) => {
        reflect(text, `kept ${place}`);
        if (kept.length > place + 1) reflected.show(kept[place], kept[place + 1], true);
      });
      fold.open = false;
    },
  };
}

function reflection(number, segment) {
  const text = el("p", { class: "stretch" });
  const changed = el("div", { class: "changed", hidden: true });
  const element = el(
    "section",
    { class: "reflection", "aria-label": `Reflection ${number}` },
    el("h3", {}, number === 1 ? "Reflection" : `Reflection ${number}`),
    text,
    changed,
  );

  function show(before, after, whole) {
    changed.hidden = false;
    const same = before.trim() === after.trim();
    const heading = !whole ? "Drafting again" : same ? "It stands by its words" : "What it changed";
    changed.replaceChildren(el("h4", {}, heading), whole && !same ? difference(before, after) : el("p", {}, after.trimStart()));
  }
  return { element, text, segment, show };
}

function difference(before, after) {
  const tags = { gone: "del", new: "ins", same: "span" };
  const run = ({ kind, text }) => {
    const words = text.trimEnd(); // the space after is neither struck out nor lit
    return [el(tags[kind], {}, words), text.slice(words.length)];
  };
  return el("p", { class: "difference" }, ...changes(before.trim(), after.trim()).flatMap(run));
}
