// What is said to everybody: to screen readers, in a passing note, and in the banner while the server is away.

import * as api from "./api.js";
import { byId } from "./dom.js";

const EVERY_MS = 5000;
const AWAY_MS = 1500;
const TOAST_MS = 5000;
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
  clearTimeout(toastEnds);
  toastEnds = setTimeout(() => {
    note.hidden = true;
    note.textContent = "";
  }, TOAST_MS);
}

/** Ask after the server's health for as long as the page is open; `back` is called when it comes back. */
export function watchHealth(back) {
  let away = false;
  const look = async () => {
    try {
      if (!document.hidden || away) await api.health();
      if (away) {
        away = false;
        byId("banner").hidden = true;
        announce("The server is back.");
        back();
      }
    } catch (error) {
      if (!away) {
        away = true;
        byId("banner").textContent = error.message;
        byId("banner").hidden = false;
      }
    }
    setTimeout(look, away ? AWAY_MS : EVERY_MS);
  };
  look();
}
