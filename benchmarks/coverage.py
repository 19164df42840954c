"""Is the evidence retrieved? Judged without a reader, at equal tokens of context, beside plain retrievers.

"Coverage" is the share of the gold answer's word 4-grams (the whole of an answer of up to four words) that stand in
the retrieved text, over the questions whose gold answer stands in the document, of three L-Eval tasks; intervals by a
bootstrap over documents. "whole_words" is the same where an answer inside a word, as "no" in "not", does not count.
The plain retrievers cut after exactly 128 tokens and take the best passages: BM25 without neighbours, static vectors,
MiniLM (int8), and reciprocal rank fusions (constant 60) of two. Ours is what `Library.search` gives. "Ablation" takes
one idea out of balanced retrieval. Weights and the share of "auto" were chosen by these figures, the latter by those
of the contracts alone. "Novels": 80 questions of benchmarks/questions, written by reading two novels through, without
sight of what retrieval finds; evidence is found when one of the places that answer lies wholly within the passages.
Odd numbers were there to tune on, even ones were judged when retrieval was settled, and once more when words were
weighed.

    python benchmarks/coverage.py --leval FOLDER --books FOLDER --out benchmarks/results/coverage.json
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from machine import machine
from seriatim.documents.document import Document
from seriatim.documents.passages import cut
from seriatim.evaluation.arms import as_text
from seriatim.evaluation.coverage import coverage, evidence_found, stands_in
from seriatim.evaluation.statistics import bootstrap_means, interval
from seriatim.retrieval import embedders, lexical, ranking, static
from seriatim.retrieval.context import Context, Ranked
from seriatim.retrieval.library import Library
from seriatim.retrieval.selection import in_reading_order, within_budget

TASKS = ("legal_contract_qa", "natural_question", "scientific_qa")
BUDGETS = (512, 1024, 2048, 4096)
QUESTIONS = Path(__file__).parent / "questions"

Search = Callable[[str, str, Any], Context]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leval", type=Path, required=True, help="folder with L-Eval's .jsonl files")
    parser.add_argument("--books", type=Path, required=True, help="folder with moby-dick.txt and dracula.txt")
    parser.add_argument("--out", type=Path, help="results; what is in it already of parts not measured now stays")
    parser.add_argument("--parts", nargs="+", default=["tasks", "novels"], choices=["tasks", "novels"])
    options = parser.parse_args()
    result = json.loads(options.out.read_text()) if options.out and options.out.exists() else {}
    result |= {"command": " ".join(["python", *sys.argv]), "machine": machine()}
    if "tasks" in options.parts:
        result |= _tasks(options.leval)
    if "novels" in options.parts:
        result["novels"] = _novels(options.books)
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n")
    _show(result)


def _tasks(folder: Path) -> dict[str, Any]:
    """Coverage of L-Eval's tasks by every retriever, at every budget."""
    tasks = {task: list(_leval(folder / f"{task}.jsonl", task)) for task in TASKS}
    texts = {document: text for rows in tasks.values() for document, text, _, _ in rows}
    table: dict[str, Any] = {name: _table(tasks, search) for name, search in _plain(texts)}
    with tempfile.TemporaryDirectory() as place, Library(place) as library:
        for name, text in texts.items():
            library.add_document(Document(name, text, name))
        for effort in ranking.EFFORTS:
            table[f"ours, {effort}"] = _table(tasks, _ours(library, effort))
        automatic = _automatic(tasks, library)
        ablation = {name: _table(tasks, _ours(library, "balanced"), change) for name, change in _without().items()}
    return {
        "questions": {task: len(rows) for task, rows in tasks.items()},
        "documents": {task: len({row[0] for row in rows}) for task, rows in tasks.items()},
        "budgets": BUDGETS, "coverage": table, "auto": automatic, "ablation": ablation,
    }  # fmt: skip


def _leval(file: Path, task: str) -> Iterator[tuple[str, str, str, str]]:
    """Document, its text, question and answer, of the questions whose answer stands in the document."""
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines()):
        row = json.loads(line)
        for question, answer in zip(row["instructions"], row["outputs"], strict=True):
            if stands_in(answer, row["input"]):
                yield f"{task}/{number}", row["input"], question, answer


def _table(tasks: dict[str, list[Any]], search: Search, change: Any = None) -> dict[str, list[dict[str, Any]]]:
    with change or nullcontext():
        return {task: [_line(rows, search, tokens) for tokens in BUDGETS] for task, rows in tasks.items()}


def _line(rows: list[Any], search: Search, tokens: Any) -> dict[str, Any]:
    contexts = [search(question, document, tokens) for document, _, question, _ in rows]
    covered = [coverage(row[3], as_text(each.passages)) for row, each in zip(rows, contexts, strict=True)]
    low, high = interval(bootstrap_means(covered, [row[0] for row in rows]))
    stricter = [
        coverage(row[3], as_text(each.passages), whole_words=True)
        for row, each in zip(rows, contexts, strict=True)
        if stands_in(row[3], row[1], whole_words=True)
    ]
    return {
        "tokens": tokens, "coverage": statistics.fmean(covered), "interval_95": [low, high],
        "whole_words": statistics.fmean(stricter), "whole_words_n": len(stricter),
        "mean_tokens": statistics.fmean(each.tokens for each in contexts),
    }  # fmt: skip


def _ours(library: Library, effort: Any) -> Search:
    return lambda question, document, tokens: library.search(
        question, documents=[document], tokens=tokens, effort=effort
    )


def _automatic(tasks: dict[str, list[Any]], library: Library) -> dict[str, Any]:
    """The automatic budget beside the fixed 4,096 tokens."""
    search = _ours(library, "balanced")
    return {
        task: {"auto": _line(rows, search, "auto"), "fixed": _line(rows, search, 4096)} for task, rows in tasks.items()
    }


def _without() -> dict[str, Any]:
    """Balanced retrieval without one of its ideas."""
    patched = mock.patch.object

    def without(*lists: int) -> Any:
        return patched(ranking, "_WEIGHTS", tuple(0.0 if i in lists else w for i, w in enumerate(ranking._WEIGHTS)))

    return {
        "all of it": None,
        "without the question's words": without(4),
        "without pieces": without(3, 4),
        "without whole passages' vectors": without(2),
        "without static vectors": without(1),
        "without BM25": without(0),
        "without neighbours of vectors": patched(ranking, "NEIGHBOUR", 0.0),
        "constant of fusion 60": patched(ranking, "_RRF", 60),
    }


def _plain(texts: dict[str, str]) -> Iterator[tuple[str, Search]]:
    """Retrievers as they are commonly put together, over passages of exactly 128 tokens."""
    embedder = embedders.open_embedder(embedders.DEFAULT)
    cuts = {name: cut(Document(name, text, ""), "tokens") for name, text in texts.items()}
    dense = {name: embedder.embed_passages([p.text for p in each.passages]) for name, each in cuts.items()}
    still = {name: static.embed_ids(each.token_ids) for name, each in cuts.items()}
    terms = {name: [lexical.terms(p.text) for p in each.passages] for name, each in cuts.items()}
    scores: dict[str, Callable[[str, str], NDArray[np.float32]]] = {
        "BM25": lambda question, name: _bm25(terms[name], question),
        "static": lambda question, name: still[name] @ static.embed([question])[0],
        "MiniLM": lambda question, name: dense[name] @ embedder.embed_question(question),
    }
    pairs = {"BM25 + static": ("BM25", "static"), "BM25 + MiniLM": ("BM25", "MiniLM")}
    for name, parts in {**{each: (each,) for each in scores}, **pairs}.items():

        def search(question: str, document: str, tokens: int, parts: tuple[str, ...] = parts) -> Context:
            orders = [np.argsort(-scores[part](question, document), kind="stable") for part in parts]
            fused = sum(1 / (60 + np.argsort(order)) for order in orders)
            best = np.argsort(-fused, kind="stable")
            ranked = [Ranked(cuts[document].passages[i], rank, 0.0) for rank, i in enumerate(best.tolist(), 1)]
            chosen = in_reading_order(within_budget(ranked, tokens=tokens))
            return Context(question, chosen, sum(each.passage.tokens for each in chosen))

        yield name, search


def _bm25(passages: list[list[str]], question: str) -> NDArray[np.float32]:
    lengths = np.array([len(each) for each in passages], dtype=np.float32)
    saturation = lexical.K1 * (1 - lexical.B + lexical.B * lengths / lengths.mean())
    scores = np.zeros(len(passages), dtype=np.float32)
    for term in dict.fromkeys(lexical.terms(question)):
        counts = np.array([each.count(term) for each in passages], dtype=np.float32)
        holding = (counts > 0).sum()
        scores += np.log1p((len(passages) - holding + 0.5) / (holding + 0.5)) * counts / (counts + saturation)
    return scores


def _novels(books: Path) -> dict[str, Any]:
    """Evidence found within 2,048 tokens, and what the first question and the next cost."""
    found: dict[str, list[bool]] = {}
    seconds: dict[str, list[float]] = {"first": [], "again": [], "fast": []}
    for novel in ("moby-dick", "dracula"):
        with _novel(books / f"{novel}.txt") as library:
            rows = map(json.loads, (QUESTIONS / f"{novel}.jsonl").read_text(encoding="utf-8").splitlines())
            for number, row in enumerate(rows):
                half = "odd" if int(row["id"][-2:]) % 2 else "even"
                for effort in ("fast", "balanced"):
                    held, took = _asked(library, row, effort)
                    found.setdefault(f"{novel}, {effort}, {half}", []).append(held)
                    if effort == "fast" or number == 0:
                        seconds["fast" if effort == "fast" else "first"].append(took)
                seconds["again"].append(_asked(library, row, "balanced")[1])
    return {
        "tokens": 2048,
        "found": {name: {"found": sum(each), "n": len(each)} for name, each in found.items()},
        "seconds": {
            "balanced, first question of a novel (each)": seconds["first"],
            "balanced, candidates embedded (median)": statistics.median(seconds["again"]),
            "fast (median)": statistics.median(seconds["fast"]),
        },
    }


def _asked(library: Library, row: dict[str, Any], effort: Any) -> tuple[bool, float]:
    """Whether the evidence of a question is found, and in how many seconds."""
    started = time.perf_counter()
    context = library.search(row["question"], tokens=2048, effort=effort)
    took = time.perf_counter() - started
    return evidence_found(row["evidence"], [each.passage for each in context.passages]), took


@contextmanager
def _novel(file: Path) -> Iterator[Library]:
    with tempfile.TemporaryDirectory() as folder, Library(folder) as library:
        with file.open(encoding="utf-8-sig", newline="") as book:  # offsets count the line ends as they stand
            text = book.read()
        library.add_document(Document(file.stem, text, file.stem))
        library.search("warm", tokens=2048, effort="fast")
        yield library


def _show(result: dict[str, Any]) -> None:
    tables = result.get("coverage", {}) | {f"({name})": rows for name, rows in result.get("ablation", {}).items()}
    for name, rows in tables.items():
        print(f"{name:36}", *("/".join(f"{each['coverage']:.3f}" for each in rows[task]) for task in TASKS), sep="  ")
    print(json.dumps({part: result[part] for part in ("auto", "novels") if part in result}, indent=1))


if __name__ == "__main__":
    main()
