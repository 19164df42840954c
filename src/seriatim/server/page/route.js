// What the page shows, as the hash of its address, so that it can be linked, reloaded and gone back from:
// #/library/NAME · #/answer/ID · either with ?source=DOCUMENT&start=N&end=N

/** {library, answer, source: {document, start, end} | null} of a hash; what it does not name is null. */
export function parse(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const [kind, name] = path.split("/").map(decoded);
  const asked = new URLSearchParams(query);
  const start = Number(asked.get("start"));
  const end = Number(asked.get("end"));
  const source = asked.get("source") && Number.isInteger(start) && Number.isInteger(end) && start <= end;
  return {
    library: kind === "library" && name ? name : null,
    answer: kind === "answer" && name ? name : null,
    source: source ? { document: asked.get("source"), start, end } : null,
  };
}

export function format({ library, answer, source }) {
  const path = answer ? `answer/${encodeURIComponent(answer)}` : library ? `library/${encodeURIComponent(library)}` : "";
  const query = source ? `?${new URLSearchParams({ source: source.document, start: source.start, end: source.end })}` : "";
  return `#/${path}${query}`;
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a hash that somebody typed
  }
}
