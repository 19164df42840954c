// Files on their way into a library: chosen or dropped, sent, read in the background.

import * as api from "./api.js";
import { byId, el, icon } from "./dom.js";
import { dropping } from "./drop.js";
import { announce } from "./live.js";

const EVERY_MS = 400;
const AWAY_MS = 1500;
const LANES = 4; // files on their way at once: a folder of a thousand is no flood
const ENDED = ["done", "failed", "cancelled"];

/** `library()` names where files go; `added()` is called when one is readable, `changed()` when one comes or goes. */
export function uploads({ library, added, changed }) {
  const input = byId("files");
  const followed = new Set(); // ids of jobs that have a line here

  new MutationObserver(changed).observe(byId("uploads"), { childList: true, subtree: true, attributeFilter: ["class"] });
  byId("files-choose").addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    add([...input.files]);
    input.value = "";
  });
  dropping({ library, types: input.accept.split(","), add });

  async function add(files) {
    const into = library();
    const waiting = files.map((file) => ({ file, line: progressLine(file.name) }));
    byId("uploads").append(...waiting.map(({ line }) => line.element));
    const lane = async () => {
      for (let next = waiting.shift(); next; next = waiting.shift()) await addOne(into, next.file, next.line);
    };
    await Promise.all(Array.from({ length: LANES }, lane));
  }

  // A file a request: one that is refused does not take the others with it.
  async function addOne(into, file, line) {
    if (!line.element.isConnected) return; // cancelled while it waited
    try {
      await readable(file);
      const sending = api.upload(into, [file], (share) => line.show(share < 1 ? "Sending" : "Waiting", share));
      line.cancels(sending.cancel);
      const [job] = await sending.jobs;
      await follow(job.id, into, line);
    } catch (error) {
      ended(error, line);
    }
  }

  /** Lines for the uploads of a library that the server is at work on, as after a reload. */
  async function resume(into) {
    for (const job of await api.jobs(into)) {
      if (followed.has(job.id)) continue;
      const line = progressLine(job.name);
      byId("uploads").append(line.element);
      follow(job.id, into, line).catch((error) => ended(error, line));
    }
  }

  function ended(error, line) {
    if (error.name === "AbortError") line.leave();
    else line.fail(error.message);
  }

  async function follow(id, into, line) {
    followed.add(id);
    line.cancels(() => api.cancelJob(id).catch((error) => line.fail(error.message)));
    for (;;) {
      const job = await api.job(id).catch((error) => {
        if (error.status !== 0) throw error;
        line.show("Waiting for the server", null); // which goes on with it at its next start
      });
      if (!job) {
        await new Promise((resolve) => setTimeout(resolve, AWAY_MS));
        continue;
      }
      if (job.state === "failed") throw new Error(job.error ?? "This file could not be read.");
      if (job.state === "cancelled") throw new DOMException("cancelled", "AbortError");
      if (ENDED.includes(job.state)) break;
      line.show(job.state === "reading" ? "Reading" : "Waiting", job.total ? job.done / job.total : null);
      await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    }
    announce(`${line.name} is added.`);
    await added(into);
    line.leave();
  }

  return { choose: () => input.click(), coming: () => byId("uploads").querySelectorAll(":scope > :not(.failed)").length, resume };
}

/** Throws where the browser cannot read a file, which the sending of it would not tell from a server that is away. */
async function readable(file) {
  try {
    await (file.size ? file.slice(0, 1) : file).arrayBuffer(); // of one that is gone the size may be 0
  } catch {
    throw new Error("This file cannot be read: it is gone, or may not be opened. Choose it again.");
  }
}

function progressLine(name) {
  const bar = el("progress", { max: 1, "aria-label": `Adding ${name}` });
  const state = el("span", { class: "hint" }, "Waiting");
  const button = el("button", { type: "button", class: "icon-button quiet" }, icon("close", `Cancel ${name}`));
  const leave = () => {
    if (document.activeElement === button) byId("files-choose").focus();
    element.remove();
  };
  button.onclick = leave;
  const element = el("li", { class: "upload" }, el("span", { class: "name", title: name }, name), state, button, bar);
  return {
    name,
    element,
    leave,
    show(words, share) {
      state.textContent = words;
      if (share === null) bar.removeAttribute("value");
      else bar.value = share;
    },
    cancels: (act) => (button.onclick = act),
    fail(message) {
      bar.remove();
      state.remove();
      element.classList.add("failed");
      element.append(el("p", { class: "error", role: "alert" }, message));
      button.querySelector(".sr").textContent = `Dismiss ${name}`;
      button.onclick = leave;
    },
  };
}
