"""The one queue for the model: order, fairness, cancellation, stopping."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from seriatim.models.generator import Message
from seriatim.server.errors import Busy, Unavailable
from seriatim.server.models import Cancellable, Models
from seriatim.server.queue import ModelQueue, Place
from tests.server.conftest import QUESTION, Served, events, serving
from tests.server.talking import Talking


def queue(model: Talking, *, most_waiting: int = 8, most_per_client: int = 8) -> ModelQueue:
    return ModelQueue(Models("talking", lambda *_: model), most_waiting=most_waiting, most_per_client=most_per_client)


def says(name: str, order: list[str]) -> Callable[[Cancellable], Iterator[str]]:
    def work(generator: Cancellable) -> Iterator[str]:
        order.append(name)
        for piece in generator.stream([Message("user", name)]):
            yield piece.text

    return work


async def through(opened: ModelQueue, client: str, name: str, order: list[str]) -> list[Any]:
    return [each async for each in opened.stream(client, "talking", says(name, order))]


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come to pass")


def test_one_at_a_time_in_order_and_each_is_told_its_place() -> None:
    model, order = Talking("a b"), []

    async def run() -> list[list[Any]]:
        opened = queue(model)
        model.held.clear()
        tasks = []
        for name in ("first", "second", "third"):
            tasks.append(asyncio.create_task(through(opened, name, name, order)))
            await asyncio.sleep(0.01)
        assert (opened.running, opened.waiting) == (1, 2)
        model.held.set()
        found = await asyncio.gather(*tasks)
        await until(lambda: opened.running == 0)
        opened.close(lambda: None)
        return found

    first, second, third = asyncio.run(run())
    assert order == ["first", "second", "third"]
    assert [each.ahead for each in first if isinstance(each, Place)] == [0]
    assert [each.ahead for each in second if isinstance(each, Place)] == [1, 0]
    assert [each.ahead for each in third if isinstance(each, Place)] == [2, 1, 0]
    assert [each for each in third if isinstance(each, str)] == ["a", " b", ""]
    assert model.most_running == 1


def test_who_has_many_questions_does_not_hold_others_up() -> None:
    model, order = Talking("a"), []

    async def run() -> None:
        opened = queue(model)
        model.held.clear()
        tasks = []
        for client, name in [("eager", "e1"), ("eager", "e2"), ("eager", "e3"), ("eager", "e4"), ("late", "l1")]:
            tasks.append(asyncio.create_task(through(opened, client, name, order)))
            await asyncio.sleep(0.01)
        model.held.set()
        await asyncio.gather(*tasks)
        opened.close(lambda: None)

    asyncio.run(run())
    assert order.index("l1") == 1
    assert [name for name in order if name != "l1"] == ["e1", "e2", "e3", "e4"]


def test_there_is_room_for_so_many() -> None:
    model, order = Talking("a"), []

    async def run() -> None:
        opened = queue(model, most_waiting=3, most_per_client=2)
        model.held.clear()
        tasks = [asyncio.create_task(through(opened, "one", "runs", order))]
        await asyncio.sleep(0.01)
        tasks += [asyncio.create_task(through(opened, "one", name, order)) for name in ("w1", "w2")]
        await asyncio.sleep(0.01)
        with pytest.raises(Busy, match="2 of your questions"):
            await through(opened, "one", "too many", order)
        tasks.append(asyncio.create_task(through(opened, "two", "w3", order)))
        await asyncio.sleep(0.01)
        with pytest.raises(Busy, match="3 questions are waiting"):
            await through(opened, "three", "too many", order)
        model.held.set()
        await asyncio.gather(*tasks)
        opened.close(lambda: None)

    asyncio.run(run())
    assert "too many" not in order


@pytest.mark.parametrize("waiting", [True, False])
def test_who_goes_away_leaves_the_queue(waiting: bool) -> None:
    model, order = Talking("a b c"), []

    async def run() -> None:
        opened = queue(model)
        model.held.clear()
        tasks = {}
        for name in ("first", "second", "third"):
            tasks[name] = asyncio.create_task(through(opened, name, name, order))
            await asyncio.sleep(0.01)
        tasks["second" if waiting else "first"].cancel()
        await asyncio.sleep(0.01)
        assert opened.waiting == (1 if waiting else 2)
        model.held.set()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        await until(lambda: opened.running == 0)
        opened.close(lambda: None)

    asyncio.run(run())
    assert order == (["first", "third"] if waiting else ["first", "second", "third"])
    assert model.closed == (0 if waiting else 1)


def test_cancelled_in_the_moment_of_its_turn_the_queue_goes_on() -> None:
    model, order = Talking("a"), []

    async def run() -> None:
        opened = queue(model)
        model.held.clear()
        first = asyncio.create_task(through(opened, "1", "first", order))
        await asyncio.sleep(0.01)
        second = asyncio.create_task(through(opened, "2", "second", order))
        await asyncio.sleep(0.01)
        model.held.set()
        await first
        while opened.waiting:
            await asyncio.sleep(0)
        second.cancel()  # it is its turn, and it does not know yet
        await asyncio.gather(second, return_exceptions=True)
        assert await asyncio.wait_for(through(opened, "3", "third", order), 5)
        opened.close(lambda: None)

    asyncio.run(run())
    assert order[-1] == "third"


def test_a_failure_reaches_its_asker_and_nobody_else() -> None:
    model, order = Talking("a"), []

    def fails(generator: Cancellable) -> Iterator[str]:
        yield "begun"
        raise Busy("it broke")

    async def run() -> None:
        opened = queue(model)
        stream = opened.stream("1", "talking", fails)
        assert await anext(stream) == Place(0)
        assert await anext(stream) == "begun"
        with pytest.raises(Busy, match="it broke"):
            await anext(stream)
        assert await through(opened, "2", "next", order)
        opened.close(lambda: None)

    asyncio.run(run())


def test_at_the_stop_who_waits_is_told_and_who_runs_is_finished() -> None:
    model, order = Talking("a b"), []

    async def run() -> None:
        opened = queue(model)
        model.held.clear()
        first = asyncio.create_task(through(opened, "1", "first", order))
        await asyncio.sleep(0.01)
        second = asyncio.create_task(through(opened, "2", "second", order))
        await asyncio.sleep(0.01)
        opened.stop()
        with pytest.raises(Unavailable):
            await second
        with pytest.raises(Unavailable):
            await through(opened, "3", "third", order)
        model.held.set()
        assert [each for each in await first if isinstance(each, str)] == ["a", " b", ""]
        opened.close(lambda: None)

    asyncio.run(run())
    assert order == ["first"]


def test_the_end_cancels_what_still_runs_though_nobody_has_told_it() -> None:
    model, order = Talking("word " * 2000, pause_s=0.02), []

    async def run() -> None:
        opened = queue(model)
        task = asyncio.create_task(through(opened, "1", "first", order))
        await until(lambda: model.running == 1)
        task.cancel()  # the loop does not run it before the queue is closed
        opened.close(lambda: order.append("closed"))
        assert (model.running, model.closed, order) == (0, 1, ["first", "closed"])

    asyncio.run(asyncio.wait_for(run(), 20))


@pytest.mark.parametrize("reflect", [True, False])
def test_an_answer_that_outlasts_the_stop_is_ended_and_kept_as_it_is(tmp_path: Path, reflect: bool) -> None:
    model = Talking("They sold the oil " + "and the whale " * 2000, pause_s=0.02)
    found: list[tuple[str, Any]] = []
    with serving(tmp_path / "home", model, stop_s=1) as served:
        served.upload(("voyage.md", b"They sold the oil at Sunder for eleven crowns a barrel. " * 30))
        asking = threading.Thread(target=lambda: found.extend(served.ask(reflect=reflect)))
        asking.start()
        while not model.running:
            time.sleep(0.01)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    assert model.closed == 1
    asking.join()
    kind, whole = found[-1]
    assert kind == "answer"
    assert "They sold the oil" in whole["answer"]
    assert whole["complete"] is False
    assert whole["notes"] == ["the server was stopped before the answer was complete"]
    with serving(tmp_path / "home") as again:
        assert again.http.get(f"/api/answers/{whole['id']}").json() == whole


def test_a_bare_models_turn_that_outlasts_the_stop_ends_as_at_its_length(tmp_path: Path) -> None:
    model = Talking("word " * 2000, pause_s=0.02)
    body = {"model": "talking", "max_tokens": 2000, "messages": [{"role": "user", "content": "Hi"}]}
    with ThreadPoolExecutor(1) as threads, serving(tmp_path / "home", model, stop_s=1) as served:
        asking = threads.submit(served.http.post, "/v1/chat/completions", json=body)
        while not model.running:
            time.sleep(0.01)
    (choice,) = asking.result().json()["choices"]
    assert choice["finish_reason"] == "length"
    assert choice["message"]["content"].startswith("word word")


@pytest.mark.parametrize("path", ["/api/libraries/default/ask", "/v1/chat/completions", "/v1/chat/completions whole"])
def test_a_client_that_hangs_up_stops_the_model_within_a_second(tmp_path: Path, path: str) -> None:
    model = Talking("word " * 2000, pause_s=0.05)
    path, _, whole = path.partition(" ")
    body: dict[str, Any] = {"model": "talking", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2000}
    body |= {"stream": not whole}
    if path.endswith("ask"):
        body = {"question": QUESTION, "effort": "fast", "reflect": False}
    with serving(tmp_path / "home", model) as served:
        served.upload(("voyage.md", b"They sold the oil at Sunder for eleven crowns a barrel. " * 30))
        if whole:
            with pytest.raises(httpx.ReadTimeout):
                served.http.post(path, json=body, timeout=1)
        else:
            with served.http.stream("POST", path, json=body) as response:
                for line in response.iter_lines():
                    if "word" in line:
                        break
        gone = time.monotonic()
        deadline = gone + 5
        while model.running and time.monotonic() < deadline:
            time.sleep(0.01)
        assert model.closed == 1
        assert model.closed_at - gone < 1
        assert served.http.get("/api/health").json()["queue"] == {"running": 0, "waiting": 0}
        assert served.http.get("/api/answers").json() == []


def test_places_are_told_over_http(tmp_path: Path) -> None:
    model = Talking()
    with serving(tmp_path / "home", model) as served:
        served.upload(("voyage.md", b"They sold the oil at Sunder for eleven crowns a barrel. " * 30))
        model.held.clear()
        first = threading.Thread(target=served.ask)
        first.start()
        while not model.running:
            time.sleep(0.01)
        body = {"question": QUESTION, "effort": "fast"}
        with served.http.stream("POST", "/api/libraries/default/ask", json=body) as response:
            stream = events(response)
            assert next(stream) == ("stage", {"name": "queue", "place": 1})
            model.held.set()
            assert [kind for kind, _ in stream][-1] == "answer"
        first.join()


def test_a_script_on_the_same_machine_does_not_lock_the_page_out(tmp_path: Path) -> None:
    model = Talking()
    with serving(tmp_path / "home", model, limits={"waiting_per_client": 2}) as served:
        served.upload(("voyage.md", b"They sold the oil at Sunder for eleven crowns a barrel. " * 30))
        model.held.clear()
        body = {"model": "talking", "messages": [{"role": "user", "content": "Hi"}]}

        def ask_by_script() -> int:
            return httpx.post(
                f"{served.address}/v1/chat/completions", json=body, headers={"user-agent": "a script"}, trust_env=False
            ).status_code

        with ThreadPoolExecutor(3) as threads:
            asked = [threads.submit(ask_by_script) for _ in range(3)]
            while served.http.get("/api/health").json()["queue"] != {"running": 1, "waiting": 2}:
                time.sleep(0.01)
            try:
                assert ask_by_script() == 429
                question = {"question": QUESTION, "effort": "fast"}
                with served.http.stream("POST", "/api/libraries/default/ask", json=question) as response:
                    assert next(events(response)) == ("stage", {"name": "queue", "place": 1})
            finally:
                model.held.set()
            assert [each.result() for each in asked] == [200] * 3


@pytest.mark.parametrize("path", ["/api/libraries/default/ask", "/v1/chat/completions", "/v1/completions"])
def test_who_finds_no_room_is_told_by_the_status(tmp_path: Path, path: str) -> None:
    model = Talking("word " * 20)
    body: dict[str, Any] = {"model": "talking", "stream": True, "max_tokens": 5}
    body |= {"prompt": "Hi"} if "chat" not in path else {"messages": [{"role": "user", "content": "Hi"}]}
    if path.endswith("ask"):
        body = {"question": QUESTION, "effort": "fast", "reflect": False}

    async def all_at_once(address: str) -> list[tuple[int, bool]]:
        async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=60) as client:
            release = asyncio.get_running_loop().call_later(2, model.held.set)
            answers = await asyncio.gather(*(client.post(path, json=body) for _ in range(24)))
            release.cancel()
            return [(each.status_code, "error" in each.text) for each in answers]

    with serving(tmp_path / "home", model, limits={"waiting": 3}) as served:
        served.upload(("voyage.md", b"They sold the oil at Sunder for eleven crowns a barrel. " * 30))
        model.held.clear()
        answers = asyncio.run(all_at_once(served.address))
        nobody = {"running": 0, "waiting": 0}  # soon: an answer is told before its place is free
        asyncio.run(until(lambda: served.http.get("/api/health").json()["queue"] == nobody))
    assert set(answers) == {(200, False), (429, True)}
    assert answers.count((200, False)) >= 4


def test_a_graceful_stop_finishes_the_answer_and_keeps_it(tmp_path: Path) -> None:
    model = Talking(pause_s=0.05)
    found: list[tuple[str, Any]] = []
    with serving(tmp_path / "home", model) as served:
        served.upload(("voyage.md", b"They sold the oil at Sunder for eleven crowns a barrel. " * 30))
        asking = threading.Thread(target=lambda: found.extend(served.ask(reflect=False)))
        asking.start()
        while not model.running:
            time.sleep(0.01)
    asking.join()
    assert found[-1][0] == "answer"
    with serving(tmp_path / "home", model) as again:
        assert again.http.get(f"/api/answers/{found[-1][1]['id']}").json() == found[-1][1]


def test_what_a_model_fails_with_is_an_event(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    from seriatim.errors import ModelError

    def broken(*_: object, **__: object) -> Iterator[Any]:
        raise ModelError("the model fell over: ask again")
        yield

    monkeypatch.setattr(server.model, "stream", broken)
    assert server.ask()[-1] == ("error", {"message": "the model fell over: ask again", "type": "model_error"})


@pytest.mark.model
def test_a_real_model_is_stopped_while_it_reads(tmp_path: Path, reader_path: Path) -> None:
    from seriatim.errors import ModelError
    from seriatim.models.llamacpp import LlamaCpp

    model = LlamaCpp(reader_path)
    try:
        long = [Message("user", "The ship went on and on over the wide sea. " * 500)]
        pieces = model.stream(long, max_tokens=5)
        waker = threading.Timer(0.3, model.interrupt)
        waker.start()
        began = time.monotonic()
        with pytest.raises(ModelError):
            list(pieces)
        assert time.monotonic() - began < 1
        assert list(model.stream([Message("user", "Hi")], max_tokens=3))[-1].finish_reason
    finally:
        model.close()
