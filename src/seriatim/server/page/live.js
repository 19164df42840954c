// What is said to everybody: to screen readers, in a passing note, and in the banner while the server is away.

import * as api from "./api.js";
import { byId } from "./dom.js";

const EVERY_MS = 5000;
const SOON_MS = 1500; // while something changes soon: the server is away, or its model on the way
const TOAST_MS = 5000;
const STOPPING = "The server is stopping: it finishes this answer, and takes no other question.";
let toastEnds;

/** Say `text` to screen readers alone. */
export function announce(text) {
  byId("live").textContent = text;
}

/** Show `text` for some seconds; screen readers say it. */
export function toast(text) {
  const note = byId("toast");
  note.textContent = text;
  note.hidden = false;
  announce(text); // an element that was hidden is not listened to
  clearTimeout(toastEnds);
  toastEnds = setTimeout(() => {
    note.hidden = true;
    note.textContent = "";
  }, TOAST_MS);
}

/** A model that is on its way: how far it has come, for the first question would wait for it. */
function showOpening(opening) {
  const note = byId("opening");
  note.hidden = !opening;
  if (!opening) return false;
  const share = opening.total ? Math.floor((100 * opening.done) / opening.total) : 0;
  note.textContent = `The model is on its way: ${opening.what}, ${share} %. Add documents meanwhile; a question waits for it.`;
  return true;
}

/**
 * Ask after the server's health for as long as the page is open; `answering()` says whether an answer comes in, and
 * `back` is called when the server comes back.
 */
export function watchHealth(answering, back) {
  let away = null; // what is said of it
  let opening = false;
  const look = async () => {
    try {
      if (!document.hidden || away) opening = showOpening((await api.health()).opening);
      if (away) {
        away = null;
        byId("banner").hidden = true;
        announce("The server is back.");
        back();
      }
    } catch (error) {
      const words = answering() ? STOPPING : `${error.message} This page goes on by itself.`;
      if (away !== words) {
        away = words;
        byId("banner").textContent = words;
        byId("banner").hidden = false;
        showOpening(null);
      }
    }
    setTimeout(look, away || opening ? SOON_MS : EVERY_MS);
  };
  look();
}
