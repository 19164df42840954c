"""The real fetching code against a local server that speaks the hub's protocol."""

import json
from pathlib import Path

import pytest

from seriatim.errors import SeriatimError
from seriatim.evaluation.datasets import read_dataset
from seriatim.evaluation.hub import REPOSITORY, REVISION, fetched
from seriatim.evaluation.tasks import find_task
from tests.evaluation.data import INFINITEBENCH
from tests.models.file_server import Route, file_server

TASK = find_task("en_mc")
ADDRESS = f"/datasets/{REPOSITORY}/resolve/{REVISION}/{TASK.file}"


def test_the_data_comes_from_the_pinned_revision_once(monkeypatch: pytest.MonkeyPatch, own_home: Path) -> None:
    body = "".join(json.dumps(row) + "\n" for row in INFINITEBENCH).encode()
    with file_server() as server:
        server.routes[ADDRESS] = Route(body)
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        file = fetched(TASK)
        assert len(read_dataset(TASK, file).questions) == 2
        assert not list(file.parent.glob("*.part*"))
    assert fetched(TASK) == file


def test_a_hub_out_of_reach_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with file_server() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        with pytest.raises(SeriatimError, match=r"could not be fetched: .*longbook_choice_eng\.jsonl with --data"):
            fetched(TASK)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(SeriatimError, match="HF_HUB_OFFLINE"):
        fetched(TASK)
