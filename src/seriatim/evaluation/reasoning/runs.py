"""Put the problems of a reasoning benchmark to a reader in one arm; records, cache and resumption are those of `runs`.

Main path: `run` → for each problem and budget not asked yet: `arms.attempt` → `judge` → a row.
"""

from collections.abc import Callable, Generator, Mapping
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from seriatim.errors import UsageError
from seriatim.evaluation import records
from seriatim.evaluation.generation import Reader
from seriatim.evaluation.reasoning.arms import (
    LEAST,
    PROMPT_VERSION,
    ROUNDS,
    SAMPLED,
    SYSTEM,
    Arm,
    Attempt,
    Spending,
    attempt,
)
from seriatim.evaluation.reasoning.letters import check_scorer, check_shots, most_probable
from seriatim.evaluation.reasoning.problems import WRONG, Judgement, Problem, Problems, ReasoningTask
from seriatim.evaluation.runs import environment, missing
from seriatim.programs import sandbox
from seriatim.progress import Progress
from seriatim.reflection.prompts import PROTOCOL
from seriatim.sampling import GREEDY, Sampling

NO_TOKENS = 0
_Wanted = tuple[Problem, int]
_SEEDS_A_RUN = 100_000  # what is drawn with one --seed is not drawn again with the next


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run asks. `tokens` are the budgets of generated tokens, the task's own where there are none.

    With `match`, the folder of another run, self-consistency spends on each problem what that run has spent on it.
    With several `samples` each problem is tried so often at a temperature, for pass@k.
    """

    task: ReasoningTask
    arm: Arm
    tokens: tuple[int, ...] = ()
    limit: int | None = None
    seed: int = 0
    match: Path | None = None
    samples: int = 1

    @property
    def budgets(self) -> tuple[int, ...]:
        return (NO_TOKENS,) if self.arm == "letters" else tuple(sorted(set(self.tokens or (self.task.tokens,))))


def run(
    plan: Plan,
    problems: Problems,
    reader: Reader,
    path: Path,
    progress: Progress | None = None,
    *,
    at_once: int = 1,
) -> records.Run:
    """Ask what the run in the folder `path` has not asked yet, a row a problem and budget.

    So many problems are asked `at_once` of a reader that threads can share: an address that answers several together.
    A run that was stopped, even killed, goes on where it was. Raises as `records.opened` does, `UsageError` for a plan
    that makes no sense, `SeriatimError` where code would have to run without isolation, and `ModelError` where the
    reader fails; what was asked until then is kept.
    """
    check(plan)
    if plan.arm == "letters":
        check_scorer(reader.generator)
    drawn = problems.draw(plan.limit, plan.seed)
    if plan.arm == "letters":
        check_shots(drawn.problems)
    wanted = [(problem, tokens) for tokens in plan.budgets for problem in drawn.problems]
    spent = _spent(plan, wanted)
    with records.opened(path, _settings(plan, problems, reader)) as (rows, file):
        left = list(missing(wanted, rows))
        with closing(_rows(left, lambda each: _row(plan, each[0], each[1], reader, spent), at_once)) as made:
            for _, row in zip(missing(wanted, rows, progress, at_once=at_once), made, strict=True):
                records.append(file, row)
    return records.read_run(path)


def _rows(left: list[_Wanted], ask: Callable[[_Wanted], records.Row], at_once: int) -> Generator[records.Row]:
    """The rows of what is left, as they are made; when nobody wants more of them, no more is asked."""
    if at_once == 1:
        yield from map(ask, left)
        return
    todo = iter(left)
    with ThreadPoolExecutor(at_once) as threads:
        asked = {threads.submit(ask, each) for each in islice(todo, at_once)}
        while asked:
            done, asked = wait(asked, return_when=FIRST_COMPLETED)
            for each in sorted(done, key=lambda each: each.exception() is not None):
                yield each.result()
            asked |= {threads.submit(ask, each) for each in islice(todo, len(done))}


def check(plan: Plan) -> None:
    """Raise `UsageError` for a plan that makes no sense, and `SeriatimError` for one that would run code without
    isolation."""
    name, arm = plan.task.name, plan.arm
    if arm == "letters" and name != "mmlu":
        raise UsageError(f"the arm letters is one of mmlu; ask {name} in another (see: seriatim eval list)")
    if arm == "verified" and plan.task.check is None:
        raise UsageError(f"{name} has nothing to check an answer by; the arm verified is one of gsm8k and humaneval")
    if plan.match and arm != "self-consistency":
        raise UsageError(f"--match says what self-consistency may spend; the arm {arm} has --tokens")
    if plan.tokens and arm == "letters":
        raise UsageError("the arm letters generates nothing; leave --tokens out")
    if arm in ("phased", "verified") and min(plan.budgets) < LEAST:
        raise UsageError(f"the arm {arm} writes in two phases, which take {LEAST} tokens at least; give --tokens more")
    if plan.samples > _SEEDS_A_RUN:
        raise UsageError(f"at most {_SEEDS_A_RUN:,} samples of a problem are drawn, not {plan.samples:,}")
    if plan.samples > 1 and arm in ("letters", "self-consistency", "verified"):
        raise UsageError(f"several samples of the arm {arm} make no sense; leave --samples out")
    if plan.task.runs_code:
        sandbox.require()


def _spent(plan: Plan, wanted: list[tuple[Problem, int]]) -> Mapping[tuple[str, int], int]:
    """What the run to match has spent on each problem at each budget; empty without one."""
    if plan.match is None:
        return {}
    other = records.read_run(plan.match)
    if other.settings.get("task") != plan.task.name:
        raise UsageError(f"{plan.match} is a run of {other.settings.get('task')}, not of {plan.task.name}")
    spent = {(row["question_id"], row["tokens"]): row.get("completion_tokens") or 0 for row in other.rows}
    lacking = sum((problem.id, tokens) not in spent for problem, tokens in wanted)
    if lacking:
        raise UsageError(
            f"{plan.match} lacks {lacking} of the {len(wanted)} problems that are asked; finish it first, with the "
            "same --limit, --seed and --tokens"
        )
    if not any(spent.values()):
        raise UsageError(f"the reader of {plan.match} did not say how many tokens it wrote, so none can be matched")
    return spent


def _settings(plan: Plan, problems: Problems, reader: Reader) -> dict[str, Any]:
    match = plan.match and records.read_run(plan.match).settings
    return {
        "task": plan.task.name, "metric": "accuracy" if plan.samples == 1 else "pass@1", "order": plan.arm,
        "judged_by": "log-probability" if plan.arm == "letters" else "generation",
        "reader": reader.generator.name, "reader_identity": reader.identity, "seed": plan.seed,
        "samples": plan.samples, "match": match and match["order"], "data_sha256": problems.sha256,
        "prompt_version": PROMPT_VERSION, "system": SYSTEM, "protocol": PROTOCOL, "asked": dict(plan.task.asked),
        "sampling": asdict(_sampling(plan)), "rounds": ROUNDS, "limit": plan.limit, "tokens": list(plan.budgets),
        **environment(),
    }  # fmt: skip


def _sampling(plan: Plan, sample: int = 0) -> Sampling:
    drawn = plan.samples > 1 or plan.arm == "self-consistency"
    return replace(SAMPLED, seed=plan.seed * _SEEDS_A_RUN + sample) if drawn else GREEDY


def _row(
    plan: Plan, problem: Problem, tokens: int, reader: Reader, spent: Mapping[tuple[str, int], int]
) -> records.Row:
    row: records.Row = {
        "question_id": problem.id, "document": problem.id, "subject": problem.subject, "tokens": tokens,
        "context_tokens": 0, "coverage": None, "retrieve_s": 0.0,
    }  # fmt: skip
    if plan.arm == "letters":
        return row | _by_letter(problem, reader)
    most = spent.get((problem.id, tokens), tokens)
    tries = [_tried(plan, problem, most, reader, sample) for sample in range(plan.samples)]
    if plan.samples == 1:
        return row | tries[0]
    return row | _several(tries)


def _tried(plan: Plan, problem: Problem, most: int, reader: Reader, sample: int) -> dict[str, Any]:
    spending = Spending(reader, _sampling(plan, sample))
    made = attempt(plan.arm, plan.task, problem, spending, most)
    judged = _judged(plan.task, made.answer, problem)
    held: dict[str, Any] = {
        "prediction": made.text, "answer": made.answer, "format_failure": made.answer is None,
        "score": judged.score, "strict_score": judged.strict, "error": judged.error, **spending.to_dict(),
        "reflections": list(made.reflections),
    }  # fmt: skip
    if plan.arm == "verified":
        held["first_score"] = _first_score(plan.task, made, judged, problem)
    if plan.arm == "self-consistency":
        held["tries"] = list(made.tries)
    return held


def _judged(task: ReasoningTask, answer: str | None, problem: Problem) -> Judgement:
    return WRONG if answer is None else task.judge(answer, problem)


def _first_score(task: ReasoningTask, made: Attempt, judged: Judgement, problem: Problem) -> float:
    return judged.score if made.first == made.answer else _judged(task, made.first, problem).score


def _several(tries: list[dict[str, Any]]) -> dict[str, Any]:
    """A row of several tries: means of scores, sums of costs, and how many are right."""
    added = {
        name: sum(each[name] for each in tries)
        for name in ("prompt_tokens", "completion_tokens", "prefill_s", "generate_s", "generations")
    }
    means = {name: sum(each[name] for each in tries) / len(tries) for name in ("score", "strict_score")}
    shares = {name: sum(each[name] for each in tries) / len(tries) for name in ("format_failure", "truncated")}
    return {
        "prediction": [each["prediction"] for each in tries], "answer": [each["answer"] for each in tries],
        **added, **means, **shares, "cached": all(each["cached"] for each in tries),
        "samples": len(tries), "right": sum(each["score"] == 1 for each in tries),
    }  # fmt: skip


def _by_letter(problem: Problem, reader: Reader) -> dict[str, Any]:
    letter, told = most_probable(problem, reader)
    score = float(letter == problem.references[1])
    return {
        "prediction": letter, "answer": letter, "format_failure": False, "truncated": False, "score": score,
        "strict_score": score, **told,
    }  # fmt: skip
