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

export const seconds = (count) => (count < 10 ? `${count.toFixed(1)} s` : `${Math.round(count).toLocaleString("en")} s`);

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

/** The last part of a path: what people call the document. */
export const shortName = (name) => name.split(/[\\/]/).filter(Boolean).pop() ?? name;

/** An answer's text in pieces: {text}, {number} for a citation [n], {unsupported: true}. */
export function citedPieces(text) {
  const pieces = [];
  let after = 0;
  for (const match of text.matchAll(/\s*\[(?:(\d{1,6})|unsupported)\]/g)) {
    if (match.index > after) pieces.push({ text: text.slice(after, match.index) });
    pieces.push(match[1] ? { number: Number(match[1]) } : { unsupported: true });
    after = match.index + match[0].length;
  }
  if (after < text.length) pieces.push({ text: text.slice(after) });
  return pieces;
}

/** One line of at most `most` characters. */
export function excerpt(text, most) {
  const line = text.replace(/\s+/g, " ").trim();
  const points = Array.from(line);
  return points.length <= most ? line : `${points.slice(0, most - 1).join("").trimEnd()}…`;
}
