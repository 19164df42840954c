"""Real processes on gloo: what they compute is what one process computes, and any number goes on from any other's."""

import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from seriatim.errors import UsageError
from seriatim.olmoe.loading import load
from seriatim.training import loop
from seriatim.training.config import TrainConfig, read_config
from seriatim.training.metrics import read_metrics
from seriatim.training.parallel import Processes, clip
from tests.training.test_loop import SETTINGS, config, one_thread  # noqa: F401


def command(count: int, *arguments: str) -> list[str]:
    return [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count),
        "-m", "--", "seriatim", "train", "pretrain", *arguments,
    ]  # fmt: skip


def by_processes(count: int, folder: Path, run: str, *arguments: str) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command(count, "run.toml", "--run", run, *arguments),
        cwd=folder,
        env=environment,
        capture_output=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr.decode()


def assert_alike(one: Path, other: Path) -> None:
    ours, theirs = (load(run / "last").state_dict() for run in (one, other))
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[name], rtol=1e-3, atol=1e-4)


def _children(parent: int) -> list[int]:
    status = [path for path in Path("/proc").glob("[0-9]*/stat") if path.exists()]
    fields = [path.read_text().rpartition(")")[2].split() for path in status]
    return sorted(int(path.parent.name) for path, each in zip(status, fields, strict=True) if int(each[1]) == parent)


@pytest.mark.slow
@pytest.mark.parametrize(("count", "expert_parallel"), [(2, 1), (2, 2), (4, 2)])
def test_processes_lose_as_one_does_and_each_number_goes_on_from_the_other(
    config: TrainConfig,  # noqa: F811
    tmp_path: Path,
    count: int,
    expert_parallel: int,
) -> None:
    (tmp_path / "run.toml").write_text(SETTINGS.replace("accumulate = 2", f"accumulate = {count}"))
    config = read_config(tmp_path / "run.toml")
    loop.pretrain(config, tmp_path / "one")
    options = ("--expert-parallel", str(expert_parallel))
    by_processes(count, tmp_path, "several", *options)
    one, several = (read_metrics(tmp_path / name) for name in ("one", "several"))
    for a, b in zip(one, several, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], abs=1e-5)
        assert a["gradient_norm"] == pytest.approx(b["gradient_norm"], rel=1e-4)
        assert a["load_max_by_layer"] == pytest.approx(b["load_max_by_layer"], abs=0.05)
    by_processes(count, tmp_path, "half", "--steps", "10", *options)
    loop.pretrain(config, tmp_path / "half")
    assert_alike(tmp_path / "one", tmp_path / "half")


def test_experts_are_shared_among_processes_that_they_divide_into(
    config: TrainConfig,  # noqa: F811
    tmp_path: Path,
) -> None:
    with pytest.raises(UsageError, match="--expert-parallel 2 must divide the 1 processes"):
        loop.pretrain(config, tmp_path / "run", expert_parallel=2)


@pytest.mark.slow
@pytest.mark.parametrize("routing", ["token_choice", "expert_choice"])
def test_four_processes_of_which_two_share_the_experts_go_on_from_one(
    config: TrainConfig,  # noqa: F811
    tmp_path: Path,
    routing: str,
) -> None:
    settings = SETTINGS.replace("[data]", f'routing = "{routing}"\n[data]').replace("accumulate = 2", "accumulate = 4")
    (tmp_path / "run.toml").write_text(settings + "[loss]\nbalancing = 0\n")
    config = read_config(tmp_path / "run.toml")
    loop.pretrain(config, tmp_path / "one")
    loop.pretrain(config, tmp_path / "half", steps=10)
    by_processes(4, tmp_path, "half", "--expert-parallel", "2")
    assert_alike(tmp_path / "one", tmp_path / "half")


@pytest.mark.slow
def test_in_bfloat16_several_processes_go_on_from_one_nearly_as_it_would(
    config: TrainConfig,  # noqa: F811
    tmp_path: Path,
) -> None:
    """Nearly: what they gather is rounded to bfloat16, the embedding and the norms' weights too."""
    (tmp_path / "run.toml").write_text(SETTINGS.replace("[run]", '[run]\nprecision = "bfloat16"'))
    config = read_config(tmp_path / "run.toml")
    loop.pretrain(config, tmp_path / "one", steps=10)
    loop.pretrain(config, tmp_path / "half", steps=2)
    by_processes(2, tmp_path, "half", "--steps", "10")
    one, several = ([row["loss"] for row in read_metrics(tmp_path / name)] for name in ("one", "half"))
    assert one[:2] == several[:2]
    assert one[2:] == pytest.approx(several[2:], abs=0.03)
    assert one[-1] < one[0] - 0.5


def test_parts_that_processes_cannot_share_evenly_are_refused_before_anything_is_written(
    config: TrainConfig,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop.parallel, "processes", lambda: nullcontext(Processes(0, 4)))
    six = replace(config, run=replace(config.run, batch_size=12, accumulate=6))
    with pytest.raises(UsageError, match=r"run\.accumulate = 6 .* among 4 processes: set it to a multiple of 4, or"):
        loop.pretrain(six, tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["training.lock"]


@pytest.mark.slow
def test_a_killed_process_ends_the_job_which_then_goes_on(config: TrainConfig, tmp_path: Path) -> None:  # noqa: F811
    longer = SETTINGS.replace("steps = 20", "steps = 4000").replace("save_every = 5", "save_every = 20")
    (tmp_path / "run.toml").write_text(longer)
    job = subprocess.Popen(
        command(2, "run.toml", "--run", "run"), cwd=tmp_path, env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    while job.poll() is None and not (tmp_path / "run" / "last").exists():
        time.sleep(0.05)
    assert job.poll() is None
    os.kill(_children(job.pid)[-1], signal.SIGKILL)
    told = job.communicate(timeout=120)[1].decode()
    assert job.returncode != 0
    assert "SIGKILL" in told or "Signal 9" in told
    held = (tmp_path / "run" / "last").resolve()
    reached = int(held.name.removeprefix("step-"))
    going = read_config(tmp_path / "run.toml")
    assert loop.pretrain(replace(going), tmp_path / "run", steps=reached + 2).step == reached + 2


def test_a_norm_of_0_clips_nothing() -> None:
    parameter = torch.nn.Parameter(torch.zeros(4))
    for most, left in ((0.0, 3.0), (6.0, 3.0), (1.5, 0.75)):
        parameter.grad = torch.full((4,), 3.0)
        assert clip([parameter], most) == 6
        torch.testing.assert_close(parameter.grad, torch.full((4,), left))
