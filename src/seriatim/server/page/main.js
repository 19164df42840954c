// Puts the page together: what the address names is shown, and a question becomes an answer in its place.

import { answerList } from "./answers.js";
import { answerView } from "./answer.js";
import * as api from "./api.js";
import { choices } from "./choices.js";
import { composer } from "./composer.js";
import { documentList } from "./documents.js";
import { byId, cover, el, keepFocus } from "./dom.js";
import { libraryChooser } from "./libraries.js";
import { announce, toast, watchHealth } from "./live.js";
import { format, parse } from "./route.js";
import { hideSource, showLost, showSource } from "./source.js";
import { storage } from "./storage.js";
import { uploads } from "./uploads.js";
import { hideWelcome, showWelcome } from "./welcome.js";

const LONGEST_THREAD = 20;
const AGAIN_MS = 10_000;
const state = { library: null, loaded: false, thread: [], asking: null, returnTo: null };
let showing = Promise.resolve(); // ends when what the address names is shown
const lastLibrary = storage("localStorage", "seriatim.library");
const tabs = new BroadcastChannel("seriatim"); // other tabs learn what changed here

const chosen = choices();
const libraries = libraryChooser({ choose: (name) => leaveFor({ library: name }), changed: () => tell("libraries") });
const documents = documentList({
  open: (info) => openSource({ document: info.id, start: 0, end: 0 }),
  removed: documentsChanged,
});
const answers = answerList();
const question = composer({ ask, stop, unfollow: () => leaveFor({ library: state.library }) });
const files = uploads({
  library: () => state.library,
  added: (library) => library === state.library && documentsChanged(),
  changed: () => byId("welcome").hidden || welcome(),
});

// Where we are

const shownAnswer = () => state.thread.findLast((view) => view.id)?.id ?? null;
const here = () => (shownAnswer() && !state.asking ? { answer: shownAnswer() } : { library: state.library });

function go(route) {
  const hash = format(route);
  if (hash === location.hash || (hash === "#/" && !location.hash)) show();
  else location.hash = hash;
}

/** Go there, and stop what is being asked here. */
function leaveFor(route) {
  abandon();
  go(route);
}

/** Show what the address names; one after another, so that a slow answer never overwrites a later one. */
function show() {
  showing = showing.then(showNow);
  return showing;
}

async function showNow() {
  const route = parse(location.hash);
  setSidebar(false);
  chosen.close();
  try {
    const library = await libraryOf(route);
    await showLibrary(library);
    if (route.library && library !== route.library) {
      throw new Error(`There is no library “${route.library}”: it was removed, or the link is not whole.${library ? ` This is “${library}”.` : ""}`);
    }
    await showThread(route.answer);
    await showRouteSource(route.source);
  } catch (error) {
    failed(error);
  }
  keepFocus();
}

async function libraryOf(route) {
  const kept = route.answer && route.answer !== shownAnswer() ? await keptAnswer(route.answer) : null;
  const wanted = kept?.library ?? route.library ?? (route.answer ? state.library : null) ?? lastLibrary.read() ?? state.library;
  if (!state.loaded || !libraries.names().includes(wanted)) await libraries.load();
  const names = libraries.names();
  return names.includes(wanted) ? wanted : (names[0] ?? null);
}

async function keptAnswer(id) {
  try {
    return await api.answer(id);
  } catch (error) {
    if (error.status === 404 || error.status === 422) throw new Error("This answer is not kept here: it was removed, or the link is not whole.");
    throw error;
  }
}

async function showLibrary(name) {
  libraries.show(name);
  byId("where").textContent = name ?? "";
  if (!name || (name === state.library && state.loaded)) return;
  abandon();
  state.library = name;
  state.loaded = false; // until all of it is here: one that cannot be loaded is tried again the next time
  byId("question-new").href = format({ library: name });
  await Promise.all([documents.load(name), answers.load(name), files.resume(name)]);
  state.loaded = true;
  lastLibrary.write(name);
}

async function showThread(id) {
  if (state.asking && !id) return;
  if (id !== shownAnswer() || state.asking) {
    abandon();
    state.thread = id ? await keptThread(id) : [];
    byId("thread").replaceChildren(...state.thread.map((view) => view.element));
    byId("main").scrollTop = 0;
    state.thread.at(-1)?.element.scrollIntoView({ block: "start", behavior: "instant" });
  } else if (!id) {
    state.thread = [];
    byId("thread").replaceChildren();
  }
  settle();
}

/** The answer of that id and those it follows, first one first. */
async function keptThread(id) {
  const views = [];
  for (let next = id; next && views.length < LONGEST_THREAD; ) {
    const answer = await api.answer(next).catch((error) => {
      if (!views.length || error.status !== 404) throw error; // else an earlier one has been removed since
    });
    if (!answer) break;
    const view = viewOf(answer.question);
    view.keep(answer);
    views.unshift(view);
    next = answer.after;
  }
  return views;
}

function settle() {
  const last = state.thread.findLast((view) => view.id);
  question.follows(last?.question ?? null);
  answers.mark(last?.id ?? null);
  document.title = last ? `${last.question} · Seriatim` : "Seriatim";
  welcome();
}

function welcome() {
  if (byId("thread").hasChildNodes()) hideWelcome(); // answers, or why there is none
  else showWelcome(documents.all(), files);
}

function failed(error) {
  if (error.status === 0 && state.loaded) {
    toast(error.message); // the server is away: what is shown stays
    return;
  }
  abandon();
  state.thread = [];
  hideSource();
  byId("thread").replaceChildren(
    el("div", { class: "failed", role: "alert" }, el("p", {}, error.message), el("a", { class: "plain", href: "#/" }, "To the beginning")),
  );
  settle();
}

// Asking

function viewOf(words) {
  return answerView(words, {
    find: documents.find,
    open: openAt,
    again: () => ask(words),
    removed: () => {
      tell("answers");
      orTell(answers.load(state.library));
      go({ library: state.library });
    },
  });
}

async function ask(words) {
  if (state.asking) {
    toast("One question at a time: stop this one first, or let it finish.");
    return;
  }
  if (!documents.all().length) {
    toast("Add a document first: the answer comes from your documents alone.");
    byId("files-choose").focus();
    return;
  }
  const after = shownAnswer();
  const asking = new AbortController();
  const view = viewOf(words);
  state.thread = [...state.thread.filter((each) => each.id), view];
  state.asking = asking;
  byId("thread").replaceChildren(...state.thread.map((each) => each.element));
  hideWelcome();
  question.asked(words);
  question.busy(true);
  view.begin();
  keepFocus();
  view.element.scrollIntoView({ block: "start", behavior: "instant" });
  try {
    const request = { question: words, ...chosen.value(), documents: documents.asked(), after };
    for await (const event of api.ask(state.library, request, asking.signal)) view.event(event);
  } catch (error) {
    if (error.name === "AbortError") view.end("Stopped.", { stopped: true });
    else view.end(error.message);
  }
  if (state.asking !== asking) return; // another answer is shown by now
  state.asking = null;
  question.busy(false);
  keepFocus();
  if (view.id) answered(view);
  else if (!byId("question").value) question.set(words);
}

function stop() {
  state.asking?.abort();
  question.focus();
}

function answered(view) {
  question.answered();
  history.pushState(null, "", format({ answer: view.id, source: parse(location.hash).source }));
  settle();
  orTell(refresh("answers"));
  tell("answers");
}

/** Something else is to be shown: what is being asked ends, and its words go back to the box. */
function abandon() {
  if (!state.asking) return;
  state.asking.abort();
  state.asking = null;
  question.busy(false);
  if (byId("question").value) return; // what was typed meanwhile stays
  question.set(state.thread.at(-1).question);
  toast("Your question was stopped. It stands in the box again.");
}

// The source beside the answer

function openSource(source) {
  state.returnTo = document.activeElement;
  go({ ...here(), source });
}

/** Open the source of a passage or citation of `view`. */
function openAt(view, { document: name, document_id: id, start, end }) {
  if (documents.find(id)) openSource({ document: id, start, end });
  else {
    state.returnTo = document.activeElement;
    const isHere = (each) => each.document_id === id && each.start <= start && start < each.end;
    showLost({ name, passage: view.passages.find(isHere), close: closeSource });
  }
}

async function showRouteSource(source) {
  if (!source) {
    hideSource();
    return;
  }
  const info = documents.find(source.document);
  if (!info) {
    showLost({ name: "Removed document", close: closeSource });
    return;
  }
  const isThis = (each) => each.document_id === info.id;
  const holds = (view) => view.passages.some((each) => isThis(each) && each.start <= source.start && source.start < each.end);
  const view = state.thread.findLast(holds);
  await showSource({
    library: state.library,
    document: info,
    range: source,
    passages: view?.passages.filter(isThis) ?? [],
    citations: view?.citations.filter(isThis) ?? [],
    step: ({ start, end }) => go({ ...here(), source: { document: info.id, start, end } }),
    close: closeSource,
  });
}

function closeSource() {
  hideSource(); // at once: the focus cannot go to what it covers
  if (parse(location.hash).source) go(here());
  if (state.returnTo?.checkVisibility()) state.returnTo.focus();
  else question.focus();
}

// What changed, here or in another tab

function documentsChanged() {
  tell("documents");
  return orTell(refresh("documents"));
}

/** What is done beside the main thing fails with a passing note. */
const orTell = (promise) => promise.catch((error) => toast(error.message));

async function refresh(what) {
  if (!state.loaded) return show(); // all of it
  if (what === "answers") await answers.load(state.library);
  else if ((await documents.load(state.library)) && !state.thread.length) settle();
  if (what === "answers") answers.mark(shownAnswer());
}

const tell = (what) => tabs.postMessage({ what, library: state.library });
tabs.addEventListener("message", ({ data }) => {
  if (data.what === "libraries") libraries.forget();
  else if (data.library === state.library) orTell(refresh(data.what));
});

/** Other programs add and remove as well; this looks after it while the page is seen. */
async function lookAgain() {
  if (document.hidden || !state.loaded) return;
  try {
    await Promise.all([refresh("documents"), refresh("answers")]);
  } catch (error) {
    if (error.status !== 404) return; // a server that is away is told of by the banner
    toast(`The library “${state.library}” was removed.`);
    libraries.forget();
    await show();
  }
}

async function librariesAgain() {
  if (document.hidden || !state.loaded) return;
  const before = libraries.names().join();
  await libraries.load().catch(() => {}); // as above
  if (libraries.names().join() !== before) libraries.show(state.library);
}

setInterval(lookAgain, AGAIN_MS);
for (const [target, event] of [[window, "focus"], [document, "visibilitychange"]]) {
  target.addEventListener(event, lookAgain);
  target.addEventListener(event, librariesAgain);
}

// The page's own controls

function setSidebar(open) {
  byId("panes").classList.toggle("with-sidebar", open);
  byId("menu").setAttribute("aria-expanded", String(open));
  cover();
}

byId("menu").addEventListener("click", () => setSidebar(!byId("panes").classList.contains("with-sidebar")));
byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  question.focus();
});
byId("question-new").addEventListener("click", abandon);
addEventListener("hashchange", show);
addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || byId("dialog").open) return;
  if (byId("panes").classList.contains("with-sidebar")) {
    setSidebar(false);
    byId("menu").focus();
  } else if (!byId("source").hidden) closeSource();
});

async function start() {
  await showModels();
  await show();
  if (!parse(location.hash).source && matchMedia("(min-width: 760px)").matches) question.focus();
}

/** The server is back, perhaps with other models. */
async function back() {
  await showModels();
  await orTell(refresh("documents"));
}

async function showModels() {
  try {
    chosen.models(await api.models());
  } catch (error) {
    announce(error.message);
  }
}

start();
watchHealth(() => state.asking, back);
