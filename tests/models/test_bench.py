import pytest

from seriatim.errors import ModelError
from seriatim.models import bench
from tests.olmoe.conftest import one_thread  # noqa: F401


def test_a_model_too_large_for_the_memory_is_refused_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seriatim.olmoe.loading.free_memory", lambda: 20_000_000_000)

    with pytest.raises(ModelError, match=r"olmoe-1b-7b takes 27\.7 GB in float32, and 20\.0 GB are free: take int8"):
        bench.random_model("olmoe-1b-7b", "float32")


def test_the_published_model_is_the_published_size() -> None:
    assert bench.RANDOM["olmoe-1b-7b"].total_parameters == 6_919_161_856


def test_the_median_of_the_runs_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([1.0, 100.0, 2.0, 4.0])  # the first run warms up
    monkeypatch.setattr(
        bench, "_run", lambda model, prompt, generate: bench._Run(prompt, generate, s := next(seconds), s)
    )

    told = bench.measure_olmoe("tiny", lambda: bench.random_model("tiny", "float32"), "float32", bench.Work(40, 8, 3))

    assert (told.prefill_tokens_per_s, told.decode_tokens_per_s) == (10.0, 2.0)
