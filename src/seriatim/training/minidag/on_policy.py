"""What comes after the arms: a round of mining, and the policy gradient, from one trained model, each against its
controls.

RUNS/on-policy/round/   a job's folder, with its row.json and outcomes.json
RESULTS/on_policy.json  all rows that there are
"""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

from seriatim.errors import TrainingError
from seriatim.files import claimed, write_json
from seriatim.progress import Progress
from seriatim.training.minidag.evaluate import trained_model
from seriatim.training.minidag.rl import Moved, improve
from seriatim.training.minidag.rounds import COUNTS, go_on
from seriatim.training.minidag.study import StudyConfig, of, settle_job, tested, trained_tokens

START, ROUND, CONTROL = "start", "round", "round control"
POLICIES = {f"policy {moved}": moved for moved in get_args(Moved)}
COMPARED = (
    (ROUND, CONTROL), (ROUND, START), (CONTROL, START), ("policy reflections", START),
    ("policy reflections", "policy all"), ("policy reflections", "policy shuffled"),
)  # fmt: skip
"""The jobs that are set beside each other."""


def on_policy(config: StudyConfig, runs: Path, results: Path, progress: Progress | None = None) -> list[dict[str, Any]]:
    """Run what is not done yet of the jobs, from the study's run `config.study.on_policy`, and write the rows after
    each; returns them. Several processes may share them. Raises `TrainingError` where that run is not there yet."""
    start = runs / config.study.on_policy / "last"
    if not (start / "config.json").exists():
        raise TrainingError(f"there is no trained model in {start} yet; run the study first")
    for name in (START, ROUND, CONTROL, *POLICIES):
        run = folder(runs, name)
        with claimed(run / "lock") as free:
            if free:
                settle_job(run, config)
            if free and not (run / "row.json").exists():
                model, told = _made(config, start, name, run, progress)
                found = tested(trained_model(model), config)
                write_json(run / "outcomes.json", found.solved)
                write_json(run / "row.json", {"job": name, "start": config.study.on_policy, **found.measures, **told})
        write_json(results / "on_policy.json", rows(runs))
    return rows(runs)


def rows(runs: Path) -> list[dict[str, Any]]:
    """The rows of the jobs that are done."""
    files = [folder(runs, name) / "row.json" for name in (START, ROUND, CONTROL, *POLICIES)]
    return [json.loads(file.read_text(encoding="utf-8")) for file in files if file.exists()]


def folder(runs: Path, name: str) -> Path:
    """Where a job is kept."""
    return runs / "on-policy" / name.replace(" ", "-")


def _made(
    config: StudyConfig, start: Path, name: str, run: Path, progress: Progress | None
) -> tuple[Path, dict[str, Any]]:
    """The job's model, and what the row tells of how it came about."""
    if name == START:
        return start, {}
    arm, _, seed = config.study.on_policy.rpartition("-")
    own = of(config, arm, int(seed))
    if name in POLICIES:
        made = run / "model"
        shutil.rmtree(made, ignore_errors=True)  # of a run that was stopped
        task = config.minidag
        settings = replace(config.policy, moved=POLICIES[name], modulus=task.modulus, definitions=task.definitions)
        steps = [asdict(each) for each in improve(start, made, settings, progress)]
        drawn, moved = (sum(step[key] for step in steps) for key in ("drawn_tokens", "moved_tokens"))
        return made, {"train_tokens": drawn, "learned_tokens": moved, "steps": steps}
    go_on(own, start, run, config.round, control=name == CONTROL, progress=progress)
    mined = json.loads((run / COUNTS).read_text(encoding="utf-8")) if name == ROUND else {}
    return run / "last", {**trained_tokens(run), "mined": mined}
