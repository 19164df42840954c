"""What runs the server elsewhere: the systemd unit and the Dockerfile, as far as they can be checked at rest."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from seriatim.server import queue, running
from seriatim.server.settings import Settings

ROOT = Path(__file__).parents[1]
UNIT = (ROOT / "deploy" / "seriatim.service").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def instructions(name: str) -> list[str]:
    """What follows an instruction's name, for each of its lines."""
    return re.findall(rf"^{name} (.+)$", DOCKERFILE, re.MULTILINE)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_the_unit_is_one(tmp_path: Path) -> None:
    unit = tmp_path / "seriatim.service"
    unit.write_text(UNIT.replace("/opt/seriatim/bin/seriatim", "/bin/true"))
    verified = subprocess.run(["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


@pytest.mark.parametrize(
    "command",
    [shlex.split(UNIT.partition("ExecStart=")[2].partition("\n")[0]), json.loads(instructions("CMD")[0])],
    ids=["unit", "image"],
)
def test_the_command_has_such_options(command: list[str]) -> None:
    assert Path(command[0]).name == "seriatim"
    helped = subprocess.run([sys.executable, "-m", "seriatim", *command[1:], "--help"], capture_output=True)
    assert helped.returncode == 0


def test_all_that_the_image_is_made_of_is_here() -> None:
    copied = [path for each in instructions("COPY") for path in each.split()[:-1]]
    assert all((ROOT / path).exists() for path in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    built = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = [project["project"]["readme"], *project["project"]["license-files"], *built["force-include"]]
    assert {"pyproject.toml", "constraints.txt", "src", *needed} <= set(copied)
    (extra,) = re.findall(r"/source\[(\w+)\]", DOCKERFILE)
    assert extra in project["project"]["optional-dependencies"]


def test_the_health_check_is_python() -> None:
    (check,) = instructions("HEALTHCHECK")
    program, _, code = json.loads(check.partition("CMD ")[2])
    assert program == "python"
    compile(code, "HEALTHCHECK", "exec")


def test_the_commands_are_those_of_the_documentation() -> None:
    documented = (ROOT / "docs" / "server.md").read_text()
    for command in re.findall(r"^# (docker .+)$", DOCKERFILE, re.MULTILINE):
        assert f"\n{command}\n" in documented


def test_there_is_time_to_stop() -> None:
    needed = Settings().stop_s + running._FAREWELL_S + queue._LEAVE_S
    (image,) = re.findall(r"--stop-timeout (\d+)", DOCKERFILE)
    (unit,) = re.findall(r"TimeoutStopSec=(\d+)", UNIT)
    assert needed < min(int(image), int(unit))
