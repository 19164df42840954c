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

const small = matchMedia("(max-width: 760px)");

/** On a small screen the side and the source lie over the thread: what lies below is out of reach of the keyboard too. */
export function cover() {
  const covered = byId("panes").classList.contains("with-sidebar") || !byId("source").hidden;
  byId("main").inert = small.matches && covered;
}
small.addEventListener("change", cover);
