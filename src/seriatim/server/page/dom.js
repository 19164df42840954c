// Elements from JavaScript. Text always becomes a text node: nothing that a model or a document says is ever markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element with properties, attributes ("aria-…", "data-…", role) and children (strings become text nodes). */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.includes("-") || name === "role" || name === "for") element.setAttribute(name, value);
    else element[name === "class" ? "className" : name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** An icon of the sprite in index.html; `label` is read out where there are no words beside it. */
export function icon(name, label) {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  if (!label) return svg;
  const both = document.createDocumentFragment();
  both.append(svg, el("span", { class: "sr" }, label));
  return both;
}

export const byId = (id) => document.getElementById(id);

const CONTROLS = "a, button, input, summary, [tabindex]";
const labelOf = (control) => control?.getAttribute("aria-label") ?? control?.textContent;

/**
 * Give `parent` other children. Where a control in it has the focus, the one of the same label has it afterwards; if
 * there is none, as when it was removed, the one in its place.
 */
export function refill(parent, ...children) {
  const controls = () => [...parent.querySelectorAll(CONTROLS)];
  const focused = document.activeElement;
  const place = controls().indexOf(focused);
  parent.replaceChildren(...children);
  if (place < 0) return;
  const now = controls();
  const same = [now[place], ...now].find((control) => labelOf(control) === labelOf(focused));
  (same ?? now[place] ?? now.at(-1))?.focus({ preventScroll: true });
  keepFocus();
}

/** What had the focus may be gone, or out of sight: then the middle has it, and not the page as a whole. */
export function keepFocus() {
  const focused = document.activeElement;
  if (focused === document.body || !focused.checkVisibility()) byId("main").focus({ preventScroll: true });
}

const small = matchMedia("(max-width: 760px)"); // the side lies over the thread
const narrow = matchMedia("(max-width: 868px)"); // the source lies over all of it: its 620 pixels, beside a side of 248

/** What is covered is out of reach of the keyboard too. */
export function cover() {
  const bySide = small.matches && byId("panes").classList.contains("with-sidebar");
  const bySource = narrow.matches && !byId("source").hidden;
  byId("main").inert = bySide || bySource;
}
for (const width of [small, narrow]) width.addEventListener("change", cover);
