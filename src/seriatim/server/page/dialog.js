// The one dialog: asks for a name, or whether something may be removed.

import { byId } from "./dom.js";

/**
 * Ask, and do `act` when confirmed; with `label` a text is asked for and given to `act`. Where `act` throws, its
 * message is shown and the dialog stays; one that `removes` something has a button of its own colour. Resolves to whether `act` was done.
 */
export function ask({ title, text = "", label, ok, removes = false, act }) {
  const dialog = byId("dialog");
  const input = byId("dialog-input");
  const error = byId("dialog-error");
  byId("dialog-title").textContent = title;
  byId("dialog-text").textContent = text;
  byId("dialog-ok").textContent = ok;
  byId("dialog-ok").classList.toggle("removes", removes);
  byId("dialog-field").hidden = !label;
  byId("dialog-field").querySelector("label").textContent = label ?? "";
  input.value = "";
  error.textContent = "";
  return new Promise((resolve) => {
    let done = false;
    byId("dialog-cancel").onclick = () => dialog.close();
    dialog.onclose = () => resolve(done);
    dialog.querySelector("form").onsubmit = async (event) => {
      event.preventDefault();
      try {
        await act(input.value.trim());
        done = true;
        dialog.close();
      } catch (failed) {
        error.textContent = failed.message;
        if (label) input.focus();
      }
    };
    dialog.showModal();
    (label ? input : byId("dialog-cancel")).focus();
  });
}
