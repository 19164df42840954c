// Numbers and texts for people, and offsets that count as the server's do.

/** The server counts code points, JavaScript UTF-16 units: a text as an array of code points, sliced by offset. */
export function codePoints(text) {
  const points = Array.from(text);
  return { length: points.length, slice: (start, end) => points.slice(Math.max(0, start), Math.max(0, end)).join("") };
}

export const plural = (count, noun) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;

export function bytes(count) {
  if (count < 1000) return plural(count, "byte");
  const units = ["kB", "MB", "GB", "TB"];
  let size = count / 1000;
  let unit = 0;
  while (size >= 999.5 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${size < 10 ? size.toFixed(1) : Math.round(size)} ${units[unit]}`;
}

export const seconds = (count) => (count < 0.05 ? "under 0.1 s" : count < 10 ? `${count.toFixed(1)} s` : `${Math.round(count).toLocaleString("en")} s`);

/** "14:05" today, "3 Nov" this year, else "3 Nov 2025". `created` is an ISO date or seconds since 1970. */
export function day(created) {
  const date = new Date(typeof created === "number" ? created * 1000 : created);
  if (Number.isNaN(date.getTime())) return "";
  const now = new Date();
  if (date.toDateString() === now.toDateString()) {
    return date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  }
  const year = date.getFullYear() === now.getFullYear() ? undefined : "numeric";
  return date.toLocaleDateString("en-GB", { day: "numeric", month: "short", year });
}

const LONGEST_WORD = 40; // a longer one may be divided after all

/**
 * An answer's text in pieces: {text}, or {before, marks, after} for citations with the word they stand at and the
 * punctuation after them, which no line may divide. A mark is the number of a citation [n], or "unsupported".
 */
export function citedPieces(text) {
  const pieces = [];
  let done = 0;
  for (const match of text.matchAll(/((?: ?\[(?:\d{1,6}|unsupported)\])+)([.,;:!?…)”’"']*)/g)) {
    const [whole, written, after] = match;
    const between = text.slice(done, match.index);
    const before = between.slice(-LONGEST_WORD).split(/\s/).pop();
    if (between.length > before.length) pieces.push({ text: between.slice(0, between.length - before.length) });
    const marks = written.match(/\d+|unsupported/g).map((mark) => (mark === "unsupported" ? mark : Number(mark)));
    pieces.push({ before, marks, after });
    done = match.index + whole.length;
  }
  if (done < text.length) pieces.push({ text: text.slice(done) });
  return pieces;
}

/** A PDF page's text with the ends of its full lines as spaces, so that it flows; as long as before, for offsets hold. */
export function flowing(text) {
  const full = 0.7 * longest(text.split("\n"));
  return joined(text, (line, next) => line.length >= full && next.trim());
}

const NARROW = 60; // characters of the longest line: below it may be verse
const WIDE = 100; // above it, a line is a paragraph
const OWN_LINE = /^(?:\s|[-*+•]\s|[|>#]|\d{1,3}[.)]\s)/; // indented, an item, a table, a quotation, a heading
const COLUMNS = /\t|\S {3,}\S|\|/;

/**
 * A text that was wrapped by hand, as books of plain text are, with the line ends within its paragraphs as spaces: those
 * where the next line's first word had no room. Verse, lists, tables and what is not wrapped stay; as long as before.
 */
export function unwrapped(text) {
  const width = longest(text.split("\n").filter((line) => line.trimEnd().length <= WIDE));
  if (width < NARROW) return text;
  const runsOn = (line, next) => {
    const length = line.trimEnd().length;
    const word = next.match(/^\S*/)[0].length;
    return word && length <= WIDE && length + 1 + word > width && ![line, next].some((each) => COLUMNS.test(each)) && !OWN_LINE.test(next);
  };
  return joined(text, runsOn);
}

const longest = (lines) => lines.reduce((most, line) => Math.max(most, line.trimEnd().length), 0);

function joined(text, runsOn) {
  return text.split("\n").reduce((before, line, place, lines) => before + (runsOn(lines[place - 1], line) ? " " : "\n") + line);
}

/** One line of at most `most` characters, cut between words. */
export function excerpt(text, most) {
  const line = text.replace(/\s+/g, " ").trim();
  const points = Array.from(line);
  if (points.length <= most) return line;
  const cut = points.slice(0, most).join("");
  const whole = cut.slice(0, cut.lastIndexOf(" ")); // up to the last word that is whole, unless that leaves much out
  return `${(whole.length > cut.length - LONGEST_WORD ? whole : cut.slice(0, -1)).replace(/[\s,;:–—-]+$/, "")}…`;
}

/** A file's name from the first words of a text; `or` where it has none. */
export function fileName(text, or) {
  const words = text.normalize("NFC").match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
  return excerpt(words.join(" "), 60).replace("…", "").replaceAll(" ", "-") || or;
}
