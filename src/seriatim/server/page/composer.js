// The question box. An unanswered question outlives a reload.

import { byId, el, icon } from "./dom.js";
import { storage } from "./storage.js";
import { excerpt } from "./text.js";

const unanswered = storage("sessionStorage", "seriatim.question");

/** `ask(question)` is called with what is asked, `stop()` to end it. */
export function composer({ ask, stop, unfollow }) {
  const box = byId("question");
  const form = byId("composer");
  box.value = unanswered.read() ?? "";
  grow();

  function grow() {
    box.style.height = "auto";
    box.style.height = `${Math.min(box.scrollHeight, 200)}px`;
  }

  box.addEventListener("input", () => {
    unanswered.write(box.value);
    grow();
  });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const question = box.value.trim();
    if (question) ask(question);
    else box.focus();
  });
  byId("stop").addEventListener("click", stop);

  return {
    focus: () => box.focus(),
    /** Whether a question is being answered: then there is a button that stops it. */
    busy(is) {
      byId("submit").hidden = is;
      byId("stop").hidden = !is;
    },
    set(question) {
      box.value = question;
      unanswered.write(question);
      grow();
    },
    /** The question is being asked: the box is free, but the question is kept until it is answered. */
    asked(question) {
      box.value = "";
      unanswered.write(question);
      grow();
    },
    /** The question is answered and kept. What was typed meanwhile stays. */
    answered: () => unanswered.write(box.value),
    /** Say which question the next one follows, or none. */
    follows(question) {
      const line = byId("follow");
      line.hidden = !question;
      line.replaceChildren();
      if (!question) return;
      line.append(
        el("span", {}, `Follows “${excerpt(question, 70)}”`),
        el("button", { type: "button", class: "icon-button", onclick: unfollow }, icon("close", "Ask a new question instead")),
      );
    },
  };
}
