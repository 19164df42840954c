"""The study: each arm with each seed, trained, tested, and put down as a row; resumable after any stop.

RUNS/practice-0/    what the arms' runs with seed 0 begin with
RUNS/B'-0/          the run of arm B' with seed 0, as `train` leaves it, with its row.json and outcomes.json
RESULTS/rows.json       all rows that there are
RESULTS/outcomes.json   which test problems each run solved: a text of 0 and 1 a run and set
"""

import json
import shutil
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from seriatim.errors import TrainingError, UsageError
from seriatim.files import claimed, write_json
from seriatim.olmoe.model import Olmoe
from seriatim.progress import Progress
from seriatim.training import checkpoints
from seriatim.training.beginning import FORMAT, defaults, settle
from seriatim.training.config import read_settings
from seriatim.training.metrics import FILE as METRICS
from seriatim.training.metrics import read_metrics
from seriatim.training.minidag.arms import ARMS
from seriatim.training.minidag.config import MiniDagConfig, MiniDagSettings
from seriatim.training.minidag.evaluate import (
    BEYOND,
    IN_DISTRIBUTION,
    Outcome,
    accuracy,
    changes,
    failures,
    forced_reflection,
    held_out,
    probe,
    self_consistency,
    solve,
    token_classes,
    trained_model,
    verifier_guided,
    without_reflections,
)
from seriatim.training.minidag.rl import PolicySettings
from seriatim.training.minidag.rounds import Round, go_on
from seriatim.training.minidag.train import train
from seriatim.training.minidag.vocabulary import tokenizer

_TABLES = ("minidag", "model", "schedule", "optimizer", "loss", "round", "policy")
_SAMPLES = (1, 2, 3, 5)
_ROUNDS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySettings:
    """What is run: `plan` names arms with their seeds, as in "A: 0 1 2", in the order in which they are run; each is
    tested on `problems` problems in distribution and as many beyond, and on `points` checkpoints along the way on
    `point_problems` of them. `on_policy` is the run with which the rounds and the policy gradient begin."""

    plan: tuple[str, ...] = ("A: 0 1 2", "B': 0 1 2", "C: 0 1 2", "E: 0 1 2", "B: 0", "D: 0", "F: 0", "G: 0")
    problems: int = 2000
    points: int = 4
    point_problems: int = 200
    on_policy: str = "B'-0"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyConfig(MiniDagConfig):
    """All settings of a study; `minidag.arm` and `run.seed` are the plan's, `policy.moved`, `policy.modulus` and
    `policy.definitions` the job's."""

    study: StudySettings = field(default_factory=StudySettings)
    round: Round = field(default_factory=Round)
    policy: PolicySettings = field(default_factory=PolicySettings)

    def __post_init__(self) -> None:
        MiniDagConfig.__post_init__(self)
        jobs(self)
        if min(self.study.problems, self.study.points, self.study.point_problems) < 1:
            raise UsageError("study.problems, study.points and study.point_problems must be at least 1")


@dataclass(frozen=True, slots=True)
class Report:
    """A trained model in a few numbers, in percent but for probabilities, and a problem, the beginning of a response
    with a wrong step in it, and what it made of that."""

    accuracy: float
    banned: float
    retries: float
    p_reflect_wrong: float
    p_reflect_right: float
    recovery: float
    example: str
    begin: str
    response: str


def read_config(path: Path) -> StudyConfig:
    """The settings in a TOML file; raises `UsageError` as `read_settings` does."""
    return read_settings(path, StudyConfig)


def jobs(config: StudyConfig) -> list[tuple[str, int]]:
    """The plan's arms and seeds. Raises `UsageError` for what is none."""
    planned: list[tuple[str, int]] = []
    for line in config.study.plan:
        arm, _, seeds = line.partition(":")
        if arm not in ARMS or not seeds.split() or not all(seed.isdecimal() for seed in seeds.split()):
            raise UsageError(f"study.plan has {line!r}: write an arm of {' '.join(ARMS)} and its seeds, as in 'A: 0 1'")
        planned += [(arm, int(seed)) for seed in seeds.split()]
    return planned


def study(config: StudyConfig, runs: Path, results: Path, progress: Progress | None = None) -> list[dict[str, Any]]:
    """Run what is not done yet of the plan, and write the rows after each; returns them. Several processes may share a
    plan: a job that another one is at is left to it."""
    for arm, seed in jobs(config):
        run = runs / f"{arm}-{seed}"
        with claimed(run / "lock") as free:
            if free:
                settle_job(run, of(config, arm, seed))
            if free and not (run / "row.json").exists():
                row, outcomes = _job(config, arm, seed, run, progress)
                write_json(run / "outcomes.json", outcomes)
                write_json(run / "row.json", row)
        write_json(results / "rows.json", rows(config, runs))
        write_json(results / "outcomes.json", _outcomes(config, runs))
    return rows(config, runs)


def settle_job(run: Path, config: StudyConfig) -> None:
    """Write down, or compare, the settings of a job, done or not: rows of different settings are no table. Raises
    `UsageError` that names what differs."""
    tables = {name: each for name, each in asdict(config).items() if name in _TABLES}
    settle(run / "job.json", {"format": FORMAT, **tables, "problems": config.study.problems}, defaults=defaults(config))


def rows(config: StudyConfig, runs: Path) -> list[dict[str, Any]]:
    """The rows of the jobs that are done, in the plan's order."""
    files = [runs / f"{arm}-{seed}" / "row.json" for arm, seed in jobs(config)]
    return [json.loads(file.read_text(encoding="utf-8")) for file in files if file.exists()]


def _outcomes(config: StudyConfig, runs: Path) -> dict[str, dict[str, str]]:
    """Which test problems each run solved that is done, in a form that is short enough to be kept with the results."""
    found: dict[str, dict[str, str]] = {}
    for arm, seed in jobs(config):
        run = runs / f"{arm}-{seed}"
        if (run / "row.json").exists():
            solved = json.loads((run / "outcomes.json").read_text(encoding="utf-8"))
            found[run.name] = {name: "".join("01"[each] for each in right) for name, right in solved.items()}
    return found


def _job(
    config: StudyConfig, arm: str, seed: int, run: Path, progress: Progress | None
) -> tuple[dict[str, Any], dict[str, list[bool]]]:
    """A row, and for each problem whether it was solved, by set and by whether reflections were allowed."""
    curve = _finished(config, seed, run, progress) if arm == "F" else _trained(of(config, arm, seed), run, progress)
    model = trained_model(run / "last")
    found = tested(model, config)
    row = {"arm": arm, "seed": seed, **found.measures, **trained_tokens(run), "curve": curve}
    if arm == "A":
        row["inference"] = _inference(model, config, found.plain)
    return row, found.solved


def of(config: StudyConfig, arm: str, seed: int) -> StudyConfig:
    """The settings of an arm and seed."""
    return replace(
        config, minidag=replace(config.minidag, arm=arm), run=replace(config.run, seed=seed)  # type: ignore[arg-type]
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tested:
    """A model on the study's tests: its measures; for each problem whether it was solved, by set and by whether
    reflections were allowed; and its responses beyond distribution without any."""

    measures: dict[str, Any]
    solved: dict[str, list[bool]]
    plain: list[Outcome]


def tested(model: Olmoe, config: StudyConfig) -> Tested:
    """Test a model in distribution and beyond, with reflections allowed and banned, and by the forced-error probe."""
    symbols, modulus, count = tokenizer(), config.minidag.modulus, config.study.problems
    sets = {"in": IN_DISTRIBUTION, "beyond": BEYOND}
    tests = {name: held_out(operations, count, modulus=modulus) for name, operations in sets.items()}
    allowed = {name: solve(model, symbols, each) for name, each in tests.items()}
    banned = {name: without_reflections(model, symbols, each, allowed[name]) for name, each in tests.items()}
    forced = probe(model, symbols, tests["beyond"], config.minidag.mistakes)
    both = [*allowed["in"], *allowed["beyond"]]
    measures = {
        "in_accuracy": accuracy(allowed["in"]),
        "beyond_accuracy": accuracy(allowed["beyond"]),
        **changes([*banned["in"], *banned["beyond"]], both),
        "retries": fmean(each.check.retries for each in both),
        "generated_tokens": fmean(each.tokens for each in both),
        "forced_error_recovery": forced.recovery,
        "p_reflect_wrong": forced.p_reflect_wrong,
        "p_reflect_right": forced.p_reflect_right,
        "p_reflect_by_kind": forced.by_kind,
        "problems": count,
        **_by_set(banned, allowed),
        "token_classes": token_classes(model, symbols, tests["beyond"][:200]),
    }
    solved = {
        f"{name}_{how}": [each.check.correct for each in outcomes[name]]
        for how, outcomes in (("allowed", allowed), ("banned", banned))
        for name in sets
    }
    return Tested(measures, solved, banned["beyond"])


def trained_tokens(run: Path) -> dict[str, int]:
    """The tokens that a run saw, with padding and prompts, and those that it learned from."""
    seen = read_metrics(run)
    return {
        "train_tokens": sum(each["tokens"] for each in seen),
        "learned_tokens": sum(each["learned_tokens"] for each in seen),
    }


def _by_set(banned: dict[str, list[Outcome]], allowed: dict[str, list[Outcome]]) -> dict[str, Any]:
    """What the row says of each set apart."""
    return {
        f"{name}_{key}": value
        for name in allowed
        for key, value in {
            "banned_accuracy": accuracy(banned[name]),
            **changes(banned[name], allowed[name]),
            **failures(allowed[name]),
            "retries": fmean(each.check.retries for each in allowed[name]),
            "needless_retries": fmean(each.check.needless for each in allowed[name]),
            "generated_tokens": fmean(each.tokens for each in allowed[name]),
            "sound": 100 * fmean(each.check.sound for each in allowed[name]),
        }.items()
    }


def _inference(model: Olmoe, config: StudyConfig, greedy: list[Outcome]) -> dict[str, Any]:
    """What the plain arm gains beyond distribution at inference alone; `tokens` are those a problem takes."""
    symbols = tokenizer()
    beyond = held_out(BEYOND, config.study.problems, modulus=config.minidag.modulus)
    votes = dict(zip(_SAMPLES, self_consistency(model, symbols, beyond, _SAMPLES), strict=True))
    guided = verifier_guided(model, symbols, beyond, _ROUNDS)
    return {
        "self_consistency": [{"samples": n, "accuracy": a, "tokens": t} for n, (a, t) in votes.items()],
        "verifier_guided": {"rounds": _ROUNDS, "accuracy": guided[0], "tokens": guided[1]},
        "forced_reflection": {"accuracy": forced_reflection(model, symbols, beyond, greedy)},
    }


def _trained(config: StudyConfig, run: Path, progress: Progress | None) -> list[dict[str, float]]:
    """Train to the end, testing along the way from practice on; the points of the curve, kept in `curve.json`."""
    file = run / "curve.json"
    points: list[dict[str, float]] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    symbols, practice = tokenizer(), config.minidag.practice_steps
    _take_over_practice(config, run, progress)
    for point in range(len(points) + 1, config.study.points + 1):
        last = practice + (config.schedule.steps - practice) * point // config.study.points
        train(config, run, steps=last, progress=progress)
        model = trained_model(run / "last")
        made = {"step": float(last), "tokens": float(sum(each["tokens"] for each in read_metrics(run)))}
        for name, operations in (("in", IN_DISTRIBUTION), ("beyond", BEYOND)):
            tests = held_out(operations, config.study.point_problems, modulus=config.minidag.modulus)
            made[f"{name}_accuracy"] = accuracy(solve(model, symbols, tests))
        points.append(made)
        write_json(file, points)
    return points


def _finished(config: StudyConfig, seed: int, run: Path, progress: Progress | None) -> list[dict[str, float]]:
    """Let the trained A of the same seed go on with the data of B', at a rate that falls anew; its end is no curve."""
    start = run.parent / f"A-{seed}" / "last"
    if not (start / "config.json").exists():
        raise TrainingError(f"arm F goes on from {start}, which is not there yet: name A before F in study.plan")
    steps = max(1, config.schedule.steps // 10)
    go_on(of(config, "B'", seed), start, run, replace(config.round, steps=steps), control=True, progress=progress)
    return []


def _take_over_practice(config: StudyConfig, run: Path, progress: Progress | None) -> None:
    """Let a run that has not begun begin with what its seed's practice left. That is the same for every arm, to the
    bit, so it is trained once; a process that comes to it while another one is at it waits."""
    task = config.minidag
    if not task.practice_steps or checkpoints.newest(run):
        return
    practice = run.parent / f"practice-{config.run.seed}"
    plain = replace(config, minidag=replace(task, arm="A"))
    trained = None
    while trained is None:
        with claimed(practice / "lock") as free:
            if free:
                trained = train(plain, practice, steps=task.practice_steps, progress=progress).checkpoint
            else:
                time.sleep(1)
    begun = run / "checkpoints" / trained.name
    copy = begun.with_name(f".{trained.name}.new")
    shutil.copytree(trained, copy, dirs_exist_ok=True)
    shutil.copyfile(practice / METRICS, run / METRICS)
    copy.replace(begun)


def report(checkpoint: Path, task: MiniDagSettings, problems: int) -> Report:
    """Test a trained model, on problems in distribution."""
    model, symbols = trained_model(checkpoint), tokenizer()
    tests = held_out(IN_DISTRIBUTION, problems, modulus=task.modulus)
    allowed = solve(model, symbols, tests)
    banned = without_reflections(model, symbols, tests, allowed)
    found = probe(model, symbols, tests, task.mistakes)
    return Report(
        accuracy(allowed), accuracy(banned), fmean(each.check.retries for each in allowed), found.p_reflect_wrong,
        found.p_reflect_right, found.recovery, *found.example,
    )  # fmt: skip
