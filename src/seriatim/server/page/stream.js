// Server-sent events from a POST, which EventSource cannot make.

/** Yields {event, data} from a response's body; `data` is parsed JSON. */
export async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  const parse = parser();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* parse(value);
    }
  } finally {
    reader.cancel().catch(() => {}); // it is gone already
  }
}

/** A function that takes the stream's text piece by piece and returns the events that are whole. */
export function parser() {
  let rest = "";
  let event = "";
  let data = [];
  return (text) => {
    const whole = [];
    rest += text;
    // A carriage return at the end may be half of a line's end.
    const held = rest.endsWith("\r") ? "\r" : "";
    const lines = (held ? rest.slice(0, -1) : rest).split(/\r\n|\r|\n/);
    rest = lines.pop() + held;
    for (const line of lines) {
      if (line === "") {
        if (data.length) whole.push({ event: event || "message", data: JSON.parse(data.join("\n")) });
        event = "";
        data = [];
      } else if (!line.startsWith(":")) {
        const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line);
        if (field === "event") event = value;
        else if (field === "data") data.push(value);
      }
    }
    return whole;
  };
}
