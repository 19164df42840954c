// The answers kept of a library, latest first.

import * as api from "./api.js";
import { byId, el } from "./dom.js";
import { toast } from "./live.js";
import { format } from "./route.js";
import { day, excerpt } from "./text.js";

const PAGE = 20;

export function answerList() {
  let library = null;
  let listed = [];
  let current = null;

  byId("answers-more").addEventListener("click", async () => {
    try {
      const more = await api.answers(library, { limit: PAGE, before: listed.at(-1).id });
      listed = [...listed, ...more];
      draw(more.length === PAGE);
    } catch (error) {
      toast(error.message);
    }
  });

  function draw(more) {
    byId("answers-hint").textContent = listed.length ? "" : "Every answer is kept here.";
    byId("answers").replaceChildren(...listed.map(item));
    byId("answers-more").hidden = !more;
  }

  function item(answer) {
    return el(
      "li",
      {},
      el(
        "a",
        { href: format({ answer: answer.id }), "aria-current": answer.id === current ? "page" : undefined },
        el("span", { class: "name" }, excerpt(answer.question, 90)),
        el("span", { class: "hint" }, [day(answer.created), excerpt(answer.answer, 60)].filter(Boolean).join(" · ")),
      ),
    );
  }

  return {
    async load(name) {
      library = name;
      listed = await api.answers(name, { limit: PAGE });
      draw(listed.length === PAGE);
    },
    mark(id) {
      current = id;
      draw(!byId("answers-more").hidden);
    },
  };
}
