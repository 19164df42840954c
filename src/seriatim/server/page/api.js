// The HTTP API, a function a route. What fails throws an ApiError whose message can be shown as it is.

import { events } from "./stream.js";

export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status; // 0 where the server was not reached
  }
}

const GONE = "Seriatim's server does not answer. Start it again with “seriatim serve”.";

const BROKEN = "The server stopped in the middle of this answer. What came is kept above; ask again once it is back.";

async function request(path, { method = "GET", json, signal } = {}) {
  let response;
  try {
    response = await fetch(`/api/${path}`, {
      method,
      signal,
      headers: json === undefined ? {} : { "Content-Type": "application/json" },
      body: json === undefined ? undefined : JSON.stringify(json),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(GONE, 0);
  }
  if (!response.ok) throw await failure(response);
  return response;
}

async function failure(response) {
  const text = await response.text().catch(() => "");
  return new ApiError(messageIn(text) ?? `The server answered with status ${response.status}.`, response.status);
}

function messageIn(text) {
  try {
    return JSON.parse(text).error.message;
  } catch {
    return undefined;
  }
}

async function json(path, options) {
  const response = await request(path, options);
  return response.status === 204 ? null : response.json();
}

const part = encodeURIComponent;
const inLibrary = (library, rest = "") => `libraries/${part(library)}${rest}`;
const ofDocument = (library, id, rest = "") => inLibrary(library, `/documents/${part(id)}${rest}`);

export const health = () => json("health");
export const models = () => json("models");
export const libraries = () => json("libraries");
export const createLibrary = (name) => json("libraries", { method: "POST", json: { name } });
export const removeLibrary = (name) => json(inLibrary(name), { method: "DELETE" });
export const documents = (library) => json(inLibrary(library, "/documents"));
export const documentText = (library, id, start, end) => json(ofDocument(library, id, `/text?start=${start}&end=${end}`));
export const documentPages = (library, id) => json(ofDocument(library, id, "/pages"));
export const pageImage = (library, id, page) => `/api/${ofDocument(library, id, `/pages/${page}.png`)}`;
export const removeDocument = (library, id) => json(ofDocument(library, id), { method: "DELETE" });
export const jobs = (library) => json(inLibrary(library, "/jobs"));
export const job = (id) => json(`jobs/${part(id)}`);
export const cancelJob = (id) => json(`jobs/${part(id)}`, { method: "DELETE" });
export const answer = (id) => json(`answers/${part(id)}`);
export const removeAnswer = (id) => json(`answers/${part(id)}`, { method: "DELETE" });
export const markdownPath = (id) => `/api/answers/${part(id)}.md`;
export const answerMarkdown = async (id) => (await request(`answers/${part(id)}.md`)).text();

export function answers(library, { limit, before }) {
  const query = new URLSearchParams({ library, limit });
  if (before !== undefined) query.set("before", before);
  return json(`answers?${query}`);
}

/** Asks, and yields the events of the answer as they come, the answer last. Throws an ApiError where there is none. */
export async function* ask(library, asked, signal) {
  const response = await request(inLibrary(library, "/ask"), { method: "POST", json: asked, signal });
  let answered = false;
  try {
    for await (const event of events(response.body)) {
      if (event.event === "error") throw new ApiError(event.data.message, response.status);
      answered ||= event.event === "answer";
      yield event;
    }
  } catch (error) {
    if (error instanceof ApiError || error.name === "AbortError") throw error;
    throw new ApiError(BROKEN, 0);
  }
  if (!answered) throw new ApiError(BROKEN, 0);
}

/** Sends files; `progress` gets the share sent, 0 to 1. (fetch reports no progress of what it sends.) */
export function upload(library, files, progress) {
  const form = new FormData();
  for (const file of files) form.append("files", file, file.name);
  const sending = new XMLHttpRequest();
  const jobs = new Promise((resolve, reject) => {
    sending.open("POST", `/api/${inLibrary(library, "/documents")}`);
    sending.upload.addEventListener("progress", (event) => event.total && progress(event.loaded / event.total));
    sending.addEventListener("error", () => reject(new ApiError(GONE, 0)));
    sending.addEventListener("abort", () => reject(new DOMException("cancelled", "AbortError")));
    sending.addEventListener("load", () => {
      if (sending.status >= 200 && sending.status < 300) resolve(JSON.parse(sending.responseText).jobs);
      else reject(new ApiError(messageIn(sending.responseText) ?? `The upload failed with status ${sending.status}.`, sending.status));
    });
    sending.send(form);
  });
  return { jobs, cancel: () => sending.abort() };
}
