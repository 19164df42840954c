// The answers kept of a library, latest first.

import * as api from "./api.js";
import { byId, el, refill } from "./dom.js";
import { toast } from "./live.js";
import { format } from "./route.js";
import { day, excerpt } from "./text.js";

const PAGE = 20;
const VIA = { openai: "by OpenAI’s API", mcp: "by MCP" };

export function answerList() {
  let library = null;
  let listed = [];
  let drawn = false; // `listed` is what is shown
  let current = null;

  byId("answers-more").addEventListener("click", async () => {
    try {
      const more = await api.answers(library, { limit: PAGE, before: listed.at(-1).id });
      if (more.length < PAGE) byId("answers").lastElementChild.querySelector("a").focus(); // the button goes
      listed = [...listed, ...more];
      draw(more.length === PAGE);
    } catch (error) {
      toast(error.message);
    }
  });

  function draw(more) {
    byId("answers-hint").textContent = listed.length ? "" : "Every answer is kept here.";
    refill(byId("answers"), ...listed.map(item));
    byId("answers-more").hidden = !more;
    drawn = true;
    mark();
  }

  function item(answer) {
    return el(
      "li",
      {},
      el(
        "a",
        { href: format({ answer: answer.id }) },
        el("span", { class: "name" }, excerpt(answer.question, 90)),
        el("span", { class: "hint" }, [VIA[answer.via], day(answer.created), excerpt(answer.answer, 60)].filter(Boolean).join(" · ")),
      ),
    );
  }

  function mark() {
    byId("answers").querySelectorAll("a").forEach((link, place) => {
      if (listed[place].id === current) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    });
  }

  /** Another library's answers never stand under a name that is not theirs, not even where it cannot be loaded. */
  function leave() {
    listed = [];
    drawn = false;
    byId("answers").replaceChildren();
    byId("answers-hint").textContent = "";
    byId("answers-more").hidden = true;
  }

  return {
    async load(name) {
      if (library !== name) leave();
      library = name;
      const found = await api.answers(name, { limit: PAGE });
      if (library !== name) return; // another one has been chosen since
      const at = listed.findIndex((answer) => answer.id === found.at(-1)?.id);
      const earlier = at < 0 ? [] : listed.slice(at + 1); // those that were asked for stay
      const now = [...found, ...earlier];
      if (drawn && JSON.stringify(now) === JSON.stringify(listed)) return;
      listed = now;
      draw(earlier.length ? !byId("answers-more").hidden : found.length === PAGE);
    },
    mark(id) {
      current = id;
      mark();
    },
  };
}
