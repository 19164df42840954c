"""The sample document's questions: is the evidence retrieved, and is the answer right? With the passages, and closed
book.

Protocol: every question of examples/questions.jsonl (or --limit of them, drawn with --seed), default retrieval.
Evidence is found when the passages contain one evidence range (all of them for "multi"); an answer is right when the
gold answer or an accepted spelling stands in it as whole normalised words, or, for "unanswerable", when it says so.
"whole" is "direct" over all passages at once, without a first look at the best. Closed book: the same model without
passages. Each question goes through the arms in turn; an arm that follows another finds the passages already read, so
the seconds of the first one alone are those of a question. Rows are saved as they come, and a run that was stopped
goes on where it was. Prompts and the first look were chosen on the SEEN questions; the others are reported apart too.
That an answer given twice is upheld against the review was decided after a run over all questions; that the second look
starts without the words of the first was decided on another book, and the run over all questions repeated.

    python benchmarks/demo_questions.py --out benchmarks/results/demo_questions
"""

import argparse
import itertools
import json
import random
import sys
import tempfile
import time
from pathlib import Path

from machine import machine
from seriatim.answering import answer
from seriatim.evaluation.coverage import evidence_found
from seriatim.evaluation.metrics import normalized
from seriatim.evaluation.statistics import wilson
from seriatim.models.generator import Generator, Message
from seriatim.models.opening import default_reader, open_generator
from seriatim.reflection.grounding import is_refusal
from seriatim.reflection.phases import Budgets
from seriatim.retrieval.context import Context
from seriatim.retrieval.library import Library

EXAMPLES = Path(__file__).parents[1] / "examples"
SEEN = {f"q{number:02}" for number in (*range(1, 27), 29, 33, 37, 41, 45, 49, 53, 57, 59)}
CLOSED_BOOK = "Answer the question about the papers of Sennet Water in one short sentence."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--out", type=Path, required=True, help="results go to OUT.jsonl (a row a question) and OUT.json"
    )
    parser.add_argument("--model", default=default_reader())
    parser.add_argument(
        "--arms", nargs="+", default=["reflect", "direct", "closed"], choices=["reflect", "direct", "whole", "closed"]
    )
    parser.add_argument("--limit", type=int)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows_file = options.out.with_suffix(".jsonl")
    rows = [json.loads(line) for line in rows_file.read_text().splitlines()] if rows_file.exists() else []
    done = {(row["model"], row["arm"], row["id"]) for row in rows}
    generator = open_generator(options.model)
    with tempfile.TemporaryDirectory() as folder, Library(folder) as library, rows_file.open("a") as out:
        library.add([EXAMPLES / "sennet-water.md"])
        for question, arm in itertools.product(_questions(options), options.arms):
            if (options.model, arm, question["id"]) in done:
                continue
            row = {"model": options.model, "arm": arm, **_ask(question, arm, library, generator)}
            rows.append(row)
            out.write(json.dumps(row) + "\n")
            out.flush()
            print(*(row[name] for name in ("arm", "id", "kind", "evidence_found", "right")), flush=True)
    summary = {"command": " ".join(["python", *sys.argv]), "machine": machine(), "results": _summary(rows)}
    options.out.with_suffix(".json").write_text(json.dumps(summary, indent=1) + "\n")
    print(json.dumps(summary["results"], indent=1))


def _questions(options: argparse.Namespace) -> list[dict]:
    questions = [json.loads(line) for line in (EXAMPLES / "questions.jsonl").read_text().splitlines()]
    if options.limit:
        questions = random.Random(options.seed).sample(questions, options.limit)
    return sorted(questions, key=lambda each: each["id"])


def _ask(question: dict, arm: str, library: Library, generator: Generator) -> dict:
    started = time.perf_counter()
    evidence_found, thinking = None, ""
    if arm == "closed":
        messages = [Message("system", CLOSED_BOOK), Message("user", question["question"])]
        text = "".join(piece.text for piece in generator.stream(messages, max_tokens=64))
        answered = not is_refusal(text)
    else:
        budgets = Budgets(first_look=generator.context_tokens if arm == "whole" else None)
        *_, last = answer(question["question"], library, generator, reflect=arm == "reflect", budgets=budgets)
        result = last.data
        text, answered, thinking = result.answer, result.answered, result.thinking
        evidence_found = _found(question, result.context)
    return {
        "id": question["id"], "kind": question["kind"], "question": question["question"], "gold": question["answer"],
        "answer": text, "right": _right(question, text, answered), "stale": _stands(question.get("stale", []), text),
        "evidence_found": evidence_found, "thinking": thinking, "seconds": time.perf_counter() - started,
    }  # fmt: skip


def _found(question: dict, context: Context) -> bool | None:
    """Whether one passage after another covers an evidence range, or each of them where several are needed."""
    passages = [each.passage for each in context.passages]
    found = [evidence_found([evidence], passages) for evidence in question["evidence"]]
    if not found:
        return None
    return all(found) if question["kind"] == "multi" else any(found)


def _right(question: dict, text: str, answered: bool) -> bool:
    if question["kind"] == "unanswerable":
        return not answered
    return answered and _stands([question["answer"], *question["accept"]], text)


def _stands(phrases: list[str], text: str) -> bool:
    words = f" {normalized(text)} "
    return any(f" {normalized(phrase)} " in words for phrase in phrases)


def _summary(rows: list[dict]) -> list[dict]:
    results = []
    for model, arm in dict.fromkeys((row["model"], row["arm"]) for row in rows):
        chosen = [row for row in rows if (row["model"], row["arm"]) == (model, arm)]
        found = [row["evidence_found"] for row in chosen if row["evidence_found"] is not None]
        seconds = sorted(row["seconds"] for row in chosen)
        kinds = dict.fromkeys(row["kind"] for row in chosen)
        results.append(
            {
                "model": model, "arm": arm,
                **_share_right(chosen),
                "unseen": _share_right([row for row in chosen if row["id"] not in SEEN]),
                "right_by_kind": {
                    kind: f"{sum(row['right'] for row in chosen if row['kind'] == kind)}"
                    f"/{sum(row['kind'] == kind for row in chosen)}"
                    for kind in kinds
                },
                "stale_and_wrong": sum(row["stale"] and not row["right"] for row in chosen),
                "evidence_found_percent": 100 * sum(found) / len(found) if found else None,
                "median_seconds": seconds[len(seconds) // 2],
            }
        )  # fmt: skip
    return results


def _share_right(rows: list[dict]) -> dict:
    """The share of right answers in percent, with its 95% interval after Wilson."""
    n, right = len(rows), sum(row["right"] for row in rows)
    if not n:
        return {"n": 0}
    return {"n": n, "right_percent": 100 * right / n, "right_interval": [100 * limit for limit in wilson(right, n)]}


if __name__ == "__main__":
    main()
