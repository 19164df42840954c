"""Which small model reads best here: F1 on natural_question and accuracy on quality (L-Eval), with and without the
passages.

Protocol: at most --limit questions a task, drawn with --seed from all its documents; the same passages for every reader
(effort balanced, document order, --tokens); the prompts of ∞Bench; temperature 0, at most 32 new tokens. "Closed
book" asks the same question without passages. Rows are saved as they come, and a run that was stopped goes on where
it was.

    python benchmarks/readers.py --data LEVAL_FOLDER --out benchmarks/results/readers
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from machine import machine
from seriatim.documents.document import Document
from seriatim.evaluation.choices import first_letter
from seriatim.evaluation.metrics import f1
from seriatim.models.generator import Generator, Message
from seriatim.models.opening import open_generator
from seriatim.retrieval.library import Library

TASKS = ("natural_question", "quality")


@dataclass(frozen=True)
class Question:
    task: str
    id: str
    document: str
    question: str
    gold: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the tasks' .jsonl files")
    parser.add_argument(
        "--out", type=Path, required=True, help="results go to OUT.jsonl (a row a question) and OUT.json"
    )
    parser.add_argument("--readers", nargs="+", default=["smollm2-135m", "qwen2.5-coder-1.5b"])
    parser.add_argument("--limit", type=int, default=60)
    parser.add_argument("--tokens", type=int, default=1024)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows_file = options.out.with_suffix(".jsonl")
    done = {(row["reader"], row["id"], row["passages"]) for row in _rows(rows_file)}
    with tempfile.TemporaryDirectory() as folder, Library(folder) as library, rows_file.open("a") as out:
        questions = [q for task in TASKS for q in _questions(options.data / f"{task}.jsonl", task, library, options)]
        for reader in options.readers:
            generator = open_generator(reader)
            for passages in (True, False):
                for question in questions:
                    if (reader, question.id, passages) in done:
                        continue
                    row = _ask(question, generator, library if passages else None, options.tokens)
                    out.write(json.dumps({"reader": reader, "passages": passages, **row}) + "\n")
                    out.flush()
                    print(reader, passages, question.id, row["score"], f"{row['seconds']:.1f} s", flush=True)
            generator.close()
    summary = _summary(list(_rows(rows_file)), options)
    options.out.with_suffix(".json").write_text(json.dumps(summary, indent=1) + "\n")
    print(json.dumps(summary["results"], indent=1))


def _questions(file: Path, task: str, library: Library, options: argparse.Namespace) -> list[Question]:
    drawn = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines()):
        row = json.loads(line)
        name = f"{task}/{number}"
        library.add_document(Document(name, row["input"], name))
        for place, (question, gold) in enumerate(zip(row["instructions"], row["outputs"], strict=True)):
            drawn.append(Question(task, f"{name}/{place}", name, question, gold))
    random.Random(options.seed).shuffle(drawn)
    return sorted(drawn[: options.limit], key=lambda each: each.id)


def _ask(question: Question, generator: Generator, library: Library | None, tokens: int) -> dict[str, object]:
    started = time.perf_counter()
    context = ""
    if library is not None:
        found = library.search(question.question, documents=[question.document], tokens=tokens)
        context = "\n\n".join(" ".join(each.passage.text.split()) for each in found.passages)
    retrieved = time.perf_counter()
    prompt = _prompt(question, context)
    messages = [Message("system", "You are a helpful assistant"), Message("user", prompt)]
    pieces = list(generator.stream(messages, max_tokens=32, stop=["\n"]))
    prediction = "".join(piece.text for piece in pieces)
    if question.task == "quality":
        score = float(first_letter(prediction) == first_letter(question.gold.split()[0]))
    else:
        score = f1(prediction, [question.gold])
    usage = pieces[-1].usage
    return {
        "task": question.task, "id": question.id, "score": score, "prediction": prediction,
        "prompt_tokens": usage.prompt_tokens if usage else None,
        "retrieve_s": retrieved - started, "seconds": time.perf_counter() - started,
    }  # fmt: skip


def _prompt(question: Question, context: str) -> str:
    if question.task == "quality":
        form = (
            "Read the book and answer the question.\n\n{context}\n\nQuestion: {question}\n\nOnly one of the following "
            "options is correct, tell me the answer using one single letter (A, B, C, or D). Don't say anything else."
        )
    else:
        form = "Read the book below and answer a question.\n\n{context}\n\nQuestion: {question}\n\nBe very concise."
    return form.format(context=context, question=question.question)


def _rows(file: Path) -> Iterator[dict[str, object]]:
    if file.exists():
        yield from map(json.loads, file.read_text().splitlines())


def _summary(rows: list[dict[str, object]], options: argparse.Namespace) -> dict[str, object]:
    results = []
    for reader in options.readers:
        for task in TASKS:
            for passages in (True, False):
                chosen = [r for r in rows if (r["reader"], r["task"], r["passages"]) == (reader, task, passages)]
                if chosen:
                    results.append(_line(reader, task, passages, chosen))
    return {
        "command": " ".join(["python", *sys.argv]),
        "machine": machine(),
        "tokens": options.tokens, "seed": options.seed, "results": results,
    }  # fmt: skip


def _line(reader: str, task: str, passages: bool, rows: list[dict[str, object]]) -> dict[str, object]:
    scores = [float(row["score"]) for row in rows]  # type: ignore[arg-type]
    generator = random.Random(0)
    means = sorted(sum(generator.choices(scores, k=len(scores))) / len(scores) for _ in range(2000))
    seconds = sorted(float(row["seconds"]) for row in rows)  # type: ignore[arg-type]
    return {
        "reader": reader, "task": task, "passages": passages, "n": len(rows),
        "score": 100 * sum(scores) / len(scores), "interval_95": [100 * means[50], 100 * means[1949]],
        "median_seconds": seconds[len(seconds) // 2],
    }  # fmt: skip


if __name__ == "__main__":
    main()
