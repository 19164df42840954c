// One question with its answer, while it comes into being and as it is kept.

import { actions } from "./actions.js";
import { el, icon, refill } from "./dom.js";
import { announce } from "./live.js";
import { processView } from "./process.js";
import { strip } from "./strip.js";
import { citedPieces, excerpt, plural, seconds } from "./text.js";

const STAGES = {
  queue: "Waiting for the model",
  load: "Opening the model",
  retrieve: "Looking for the passages",
  plan: "Planning",
  think: "Thinking",
  draft: "Drafting",
  check: "Checking the draft against the passages",
  reflect: "Reflecting",
  answer: "Writing the answer",
};

const LONG = 240; // characters of a question that would fill the screen as a headline

/**
 * The view of an answer: `element`, `event({event, data})` for what streams in, `keep(answer)` for a finished one,
 * `end(message)` where it ends without one. `find` gives a document by id, `open` opens the source of a passage or citation, `again`
 * asks the question anew, `removed` is called once the answer is removed.
 */
export function answerView(question, { find, open, again, removed }) {
  const process = processView();
  const place = el("div", { class: "strip-place" });
  const status = stageLine();
  const output = el("div", { class: "output", lang: "" });
  const citations = el("div", { class: "citations" });
  const ending = el("footer", { class: "ending" });
  const element = el(
    "article",
    { class: "answer", "aria-label": `Answer to: ${excerpt(question, 120)}` },
    el("h2", { class: question.length > LONG ? "question long" : "question" }, question),
    place,
    process.element,
    status.element,
    output,
    citations,
    ending,
  );
  const view = { element, question, passages: [], citations: [], documents: [], id: null };
  let written = "";
  // As it was when the answer was given: since then it may have been removed, or have become another.
  const asItWas = (id) => view.documents.find((each) => each.id === id) ?? find(id);

  const openPassage = (number) => {
    const passage = view.passages[number - 1];
    const quoted = view.citations.find((citation) => citation.passage === number);
    if (passage) open(view, quoted ?? passage);
  };

  function drawStrip() {
    if (!view.passages.length) return;
    const cited = new Set(view.citations.map((citation) => citation.passage));
    const list = reading(view.passages, cited, openPassage);
    list.open = place.querySelector(".reading")?.open ?? false;
    refill(place, strip({ passages: view.passages, cited, find: asItWas, open: openPassage }), list);
  }

  function stage({ name, place: ahead }) {
    if (name === "draft") process.beginDraft();
    if (name === "check") process.endDraft();
    status.show(ahead ? `Waiting: ${plural(ahead, "question")} before this one` : (STAGES[name] ?? name));
  }

  function write(text) {
    written += text;
    refill(output, ...answerText(written.trimStart(), openPassage));
  }

  function quiet() {
    status.hide();
    element.removeAttribute("aria-busy");
  }

  function finished(answer) {
    quiet();
    view.id = answer.id;
    view.passages = answer.passages;
    view.citations = answer.citations;
    view.documents = answer.documents ?? []; // one that an earlier version kept has none
    written = "";
    write(answer.answer);
    output.classList.toggle("unanswered", answer.answered === false);
    process.fold();
    drawStrip();
    citations.replaceChildren(...citationList(answer, (citation) => open(view, citation)));
    ending.replaceChildren(...remarks(answer), cost(answer), actions(answer, { removed }));
  }

  const on = {
    stage,
    passages(context) {
      view.passages = context.passages;
      drawStrip();
    },
    plan: ({ text }) => process.plan(text),
    thinking: ({ text }) => process.thinking(text),
    draft: ({ text }) => process.draft(text),
    reflection: ({ text, segment }) => process.reflection(text, segment),
    output({ text }) {
      if (!written) process.fold();
      write(text);
    },
    answer(answer) {
      finished(answer);
      comeIntoView(output);
      announce(`The answer: ${excerpt(answer.answer, 400)}`);
    },
  };

  view.begin = () => {
    element.setAttribute("aria-busy", "true");
    stage({ name: "retrieve" });
  };
  view.event = ({ event, data }) => on[event]?.(data);
  view.keep = (answer) => {
    process.keep(answer);
    finished(answer);
  };
  view.end = (message, { stopped = false } = {}) => {
    quiet();
    const retry = el("button", { type: "button", class: "plain", onclick: again }, icon("again"), "Ask again");
    ending.replaceChildren(el("div", { class: stopped ? "failed stopped" : "failed", role: stopped ? "status" : "alert" }, el("p", {}, message), retry));
  };
  return view;
}

/** The line that says what is being done, and for how long. */
function stageLine() {
  const element = el("p", { class: "stage", hidden: true });
  let ticking;
  return {
    element,
    show(words) {
      clearInterval(ticking);
      const clock = el("span", { class: "clock", "aria-hidden": "true" });
      const since = Date.now();
      const tick = () => (clock.textContent = Date.now() - since < 1000 ? "" : `${Math.round((Date.now() - since) / 1000)} s`);
      ticking = setInterval(tick, 1000);
      element.replaceChildren(el("span", { class: "pulse", "aria-hidden": "true" }), `${words}… `, clock);
      element.hidden = false;
      announce(words);
    },
    hide() {
      clearInterval(ticking);
      element.hidden = true;
    },
  };
}

/** An answer's text with its citations as buttons. */
function answerText(text, openPassage) {
  return text.split(/\n{2,}/).map((paragraph) => el("p", {}, ...citedPieces(paragraph).map((piece) => inline(piece, openPassage))));
}

function inline(piece, openPassage) {
  if (piece.text !== undefined) return piece.text;
  return el("span", { class: "held" }, piece.before, ...piece.marks.map((mark) => citationMark(mark, openPassage)), piece.after);
}

function citationMark(mark, openPassage) {
  if (mark === "unsupported") return el("span", { class: "unsupported", title: "No passage bears this out" }, mark);
  const words = `Passage ${mark}: open the source`;
  const bracket = (text) => el("span", { class: "bracket" }, text); // not seen, but copied with the text
  return el(
    "button",
    { type: "button", class: "cite", "aria-label": words, title: words, onclick: () => openPassage(mark) },
    bracket(" ["),
    String(mark),
    bracket("]"),
  );
}

function citationList(answer, open) {
  const item = (citation) => {
    const at = [citation.document, citation.page ? `page ${citation.page}` : "", citation.supported ? "" : "not borne out"].filter(Boolean).join(" · ");
    return el(
      "li",
      {},
      el(
        "button",
        { type: "button", class: "citation", onclick: () => open(citation) },
        el("span", { class: "cite-number" }, String(citation.passage)),
        el("span", { class: "citation-body" }, quotation(excerpt(citation.quote, 320)), el("span", { class: "hint" }, at)),
      ),
    );
  };
  const list = (heading, supported) => {
    const items = answer.citations.filter((citation) => citation.supported === supported).map(item);
    return items.length ? [el("h3", {}, heading), el("ul", {}, ...items)] : [];
  };
  return [...list("What it rests on", true), ...list("Where it was looked for", false)];
}

/** Between quotation marks, but for words that have some of their own. */
const quotation = (words) => el("q", { class: /["“”„«»]/.test(words) ? "marked" : "" }, words);

/** The passages as a list: the strip's counterpart for reading through. */
function reading(passages, cited, open) {
  const items = passages.map((passage, place) => {
    const facts = [passage.page ? `page ${passage.page}` : "", cited.has(place + 1) ? "cited" : ""].filter(Boolean);
    return el(
      "li",
      { value: place + 1, class: cited.has(place + 1) ? "cited" : "" },
      el("button", { type: "button", class: "passage", onclick: () => open(place + 1) }, excerpt(passage.text, 260)),
      facts.length ? el("span", { class: "hint" }, facts.join(" · ")) : null,
    );
  });
  return el("details", { class: "reading" }, el("summary", {}, "Read the passages"), el("ol", {}, ...items));
}

function remarks(answer) {
  const said = [
    answer.complete === false && "The model ran out of its budget before the answer was complete.",
    answer.answered === false && "To look further, open “Reading” below: more tokens, or a thorough search. A larger model finds more, too.",
    ...(answer.notes ?? []),
  ];
  return said.filter(Boolean).map((remark) => el("p", { class: "hint" }, remark));
}

function cost({ model, usage, timings }) {
  const facts = [
    model,
    `found in ${seconds(timings.retrieve_s)}`,
    `${plural(usage.prompt_tokens, "token")} read in ${seconds(timings.prefill_s)}`,
    `${usage.completion_tokens.toLocaleString("en")} written in ${seconds(timings.generate_s)}`,
  ];
  return el("p", { class: "cost hint" }, facts.join(" · "));
}

/** Show what came below the fold; what can be seen already stays where it is. */
function comeIntoView(output) {
  const { top, height } = output.getBoundingClientRect();
  if (top > innerHeight * 0.7) output.scrollIntoView({ block: height < innerHeight / 2 ? "center" : "start", behavior: "instant" });
}
