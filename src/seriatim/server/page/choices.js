// The model that reads, with what it costs, and how passages are chosen. Kept in the browser for the next time.

import { byId, el, refill } from "./dom.js";
import { storage } from "./storage.js";
import { bytes, plural } from "./text.js";

const stored = storage("localStorage", "seriatim.choices");
const DEFAULTS = { model: null, tokens: "1024", effort: "balanced", order: "document", reflect: true };
const READING = [
  {
    name: "tokens",
    legend: "How much is read",
    options: [
      ["512", "512 tokens", "quick"],
      ["1024", "1,024 tokens", "about a page and a half"],
      ["2048", "2,048 tokens", "twice the reading time"],
      ["4096", "4,096 tokens", "four times the reading time"],
      ["auto", "As needed", "512 to 8,192 tokens"],
    ],
  },
  {
    name: "effort",
    legend: "How passages are found",
    options: [
      ["fast", "Fast", "words and static vectors alone"],
      ["balanced", "Balanced", "the best candidates are read again"],
      ["thorough", "Thorough", "every passage is embedded once"],
    ],
  },
  {
    name: "order",
    legend: "Order of passages",
    options: [
      ["document", "As in the document", "what was corrected later stands later"],
      ["relevance", "Most relevant first", ""],
    ],
  },
];

/** Fills both menus. Returns {value(): the choices for a question, models(list): show these models}. */
export function choices() {
  const chosen = kept();
  const menus = [byId("model-menu"), byId("reading-menu")];
  closeTogether(menus);

  function choose(name, value) {
    chosen[name] = value;
    stored.write(JSON.stringify(chosen));
  }

  byId("reading").replaceChildren(
    ...READING.map(({ name, legend, options }) =>
      el("fieldset", {}, el("legend", {}, legend), ...options.map(([value, words, hint]) => radio(name, value, words, hint, chosen[name], choose))),
    ),
    el(
      "label",
      { class: "choice" },
      el("input", { type: "checkbox", checked: chosen.reflect, onchange: (event) => choose("reflect", event.target.checked) }),
      el("span", {}, "Let the model correct itself", el("span", { class: "hint" }, "it plans, thinks and checks; off answers sooner")),
    ),
  );

  return {
    models(list) {
      const usual = list.find((model) => model.default) ?? list[0];
      const current = list.find((model) => model.name === chosen.model && model.present) ?? usual;
      const summary = byId("model-summary");
      const show = (model) => summary.replaceChildren(el("span", { class: "sr" }, "Model: "), el("span", {}, model?.name ?? "no model"));
      const pick = (name, value) => {
        choose(name, value === usual.name ? null : value);
        show(list.find((model) => model.name === value));
      };
      const item = (model) => radio("model", model.name, model.name, [model.summary, cost(model)], current.name, pick, !model.present);
      if (current === usual) chosen.model = null; // the one that was kept may be gone
      show(current);
      refill(
        byId("models"),
        el("legend", {}, "Model that reads"),
        ...list.filter((model) => model.present).map(item),
        ...toFetch(list.filter((model) => !model.present).map(item)),
      );
    },
    close: () => menus.forEach((menu) => (menu.open = false)),
    value: () => ({ ...chosen, tokens: chosen.tokens === "auto" ? "auto" : Number(chosen.tokens) }),
  };
}

/** Models that are not here, folded away: they cannot be chosen yet. */
const toFetch = (items) => (items.length ? [el("details", {}, el("summary", {}, `${plural(items.length, "more model")} to fetch first`), ...items)] : []);

function cost(model) {
  if (!model.bytes) return "";
  return model.present ? `${bytes(model.bytes)}, on this machine` : `${bytes(model.bytes)} to fetch first: seriatim model pull ${model.name}`;
}

function radio(name, value, words, hints, chosen, choose, disabled = false) {
  return el(
    "label",
    { class: "choice" },
    el("input", { type: "radio", name: `choice-${name}`, value, disabled, checked: value === chosen, onchange: () => choose(name, value) }),
    el("span", {}, words, ...[hints].flat().filter(Boolean).map((hint) => el("span", { class: "hint" }, hint))),
  );
}

function kept() {
  try {
    const read = JSON.parse(stored.read()) ?? {};
    const valid = READING.every(({ name, options }) => !(name in read) || options.some(([value]) => value === read[name]));
    if (!valid) return { ...DEFAULTS };
    // Only what this version knows: the server refuses a question with anything else in it.
    return Object.fromEntries(Object.entries(DEFAULTS).map(([name, usual]) => [name, read[name] ?? usual]));
  } catch {
    return { ...DEFAULTS }; // what is kept cannot be read
  }
}

/**
 * Menus close when something else is clicked, on Escape, and when the focus leaves. A panel can have the focus itself:
 * else a press on its words would give it to the page, and close the menu before the click.
 */
function closeTogether(menus) {
  document.addEventListener("click", (event) => {
    for (const menu of menus) if (!menu.contains(event.target)) menu.open = false;
  });
  for (const menu of menus) {
    menu.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !menu.open) return;
      event.stopPropagation();
      menu.open = false;
      menu.querySelector("summary").focus();
    });
    menu.addEventListener("focusout", (event) => {
      if (event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false;
    });
  }
}
