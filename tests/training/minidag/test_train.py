"""Runs on MiniDAG: batches, resumption, decoding, evaluation, the study, the policy gradient; on a tiny model."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from seriatim.errors import UsageError
from seriatim.olmoe import Tokenizer
from seriatim.olmoe.config import OlmoeConfig
from seriatim.olmoe.model import Olmoe
from seriatim.training.data.batches import IGNORED
from seriatim.training.metrics import read_metrics
from seriatim.training.minidag import evaluate, rl, study
from seriatim.training.minidag.config import MiniDagConfig, read_config
from seriatim.training.minidag.data import ArmData
from seriatim.training.minidag.decoding import Written, decode
from seriatim.training.minidag.evaluate import (
    REFLECTION,
    held_out,
    probe,
    reflection_chances,
    self_consistency,
    solve,
    token_classes,
    verifier_guided,
    without_reflections,
)
from seriatim.training.minidag.prompts import begun
from seriatim.training.minidag.train import arm_data, train
from seriatim.training.minidag.vocabulary import TOKENS, tokenizer

TINY = Path(__file__).parent / "tiny.toml"
SYMBOLS = tokenizer()
TESTS = held_out((3, 4), 6)


@pytest.fixture(autouse=True)
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread, and no more than a few tokens of what a model writes that knows nothing."""
    torch.set_num_threads(1)
    monkeypatch.setattr(evaluate, "MOST", 12)
    monkeypatch.setattr(rl, "MOST", 12)
    monkeypatch.setattr(study, "IN_DISTRIBUTION", (3,))
    monkeypatch.setattr(study, "BEYOND", (4,))
    monkeypatch.setattr(study, "_ROUNDS", 1)
    monkeypatch.setattr(study, "_SAMPLES", (1, 2))


@pytest.fixture
def config() -> MiniDagConfig:
    return read_config(TINY)


@pytest.fixture
def data(config: MiniDagConfig, tmp_path: Path) -> ArmData:
    return arm_data(config, tmp_path)


@pytest.fixture(scope="module")
def model() -> Olmoe:
    torch.manual_seed(0)
    shape = OlmoeConfig(
        vocab_size=len(TOKENS), hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, num_experts=4, num_experts_per_tok=2, max_position_embeddings=512,
        initializer_range=0.3, eos_token_id=0, pad_token_id=1,
    )  # fmt: skip
    return Olmoe(shape).eval()


def test_a_batch_is_a_function_of_its_step(config: MiniDagConfig, data: ArmData, tmp_path: Path) -> None:
    first = [data.batch(step) for step in range(40)]
    other = arm_data(config, tmp_path)
    for step in (39, 3, 5):
        assert (other.batch(step).ids_BT == first[step].ids_BT).all()
        assert (other.batch(step).labels_BT == first[step].labels_BT).all()
    assert all(batch.ids_BT.size <= 256 for batch in first)
    assert len({batch.ids_BT.tobytes() for batch in first}) == 40


def test_prompts_are_not_learned_from(data: ArmData) -> None:
    ids, labels = data.batch(4)
    for row, wanted in zip(ids, labels, strict=True):
        first = int((wanted != IGNORED).argmax())
        assert SYMBOLS.decode(row[: first + 1]).endswith("<|assistant|>\n")
        learned = [int(each) for each in wanted[first:] if each != IGNORED]
        assert SYMBOLS.decode(learned).startswith("<thinking>\n<plan>\n")
        assert learned[-1] == 0


def test_a_run_in_two_parts_is_a_run_in_one_and_its_model_is_one(config: MiniDagConfig, tmp_path: Path) -> None:
    train(config, tmp_path / "one")
    train(config, tmp_path / "two", steps=6)
    trained = train(config, tmp_path / "two")
    for name in ("model.safetensors", "optimizer.safetensors"):
        assert (tmp_path / "one/last" / name).read_bytes() == (tmp_path / "two/last" / name).read_bytes()
    rows = read_metrics(tmp_path / "two")
    assert rows[-1]["loss"] < rows[4]["loss"]
    assert 0 < rows[-1]["learned_tokens"] < rows[-1]["tokens"] <= 256
    assert Tokenizer.from_folder(trained.checkpoint).encode("f=b3") == SYMBOLS.encode("f=b3")


def test_decoding_side_by_side_is_decoding_alone(model: Olmoe) -> None:
    prompts = [SYMBOLS.encode(text) for text in ("f=b+c\n?f", "a", "a=1+2\nb=a-3\n?b", "z=9")]
    together = decode(model, prompts, most=40)
    for prompt, found in zip(prompts, together, strict=True):
        assert decode(model, [prompt], most=40) == [found]
        (alone,) = model.generate([prompt], max_tokens=40)
        assert list(found.ids) == alone.token_ids
    sampled = decode(model, prompts, most=40, temperature=1.0, seed=3)
    assert sampled == decode(model, prompts, most=40, temperature=1.0, seed=3)
    assert sampled != together


def test_what_is_banned_is_not_written(model: Olmoe) -> None:
    prompt = SYMBOLS.encode("a=1")
    (free,) = decode(model, [prompt], most=30)
    banned = set(free.ids[:1])
    (other,) = decode(model, [prompt], most=30, banned=tuple(banned))
    assert not banned & set(other.ids)


def test_what_has_no_reflection_is_not_written_again(model: Olmoe) -> None:
    prefixes = ["<thinking>\n<reflection>\n" if place % 2 else "" for place in range(len(TESTS))]
    allowed = solve(model, SYMBOLS, TESTS, prefixes=prefixes)
    banned = without_reflections(model, SYMBOLS, TESTS, allowed)
    assert banned == solve(model, SYMBOLS, TESTS, reflect=False)
    assert banned[1] != allowed[1]


def test_responses_go_on_from_their_prefix(model: Olmoe) -> None:
    prefixes = [begun(problem, problem.steps) for problem in TESTS]
    outcomes = solve(model, SYMBOLS, TESTS, prefixes=prefixes)
    assert all(each.text.startswith(prefix) for each, prefix in zip(outcomes, prefixes, strict=True))
    closed = [
        prefix + f"</thinking>\n<output>\n{p.answer}\n</output>" for prefix, p in zip(prefixes, TESTS, strict=True)
    ]
    whole = solve(model, SYMBOLS, TESTS, prefixes=closed)
    assert all(each.text.startswith(text) for each, text in zip(whole, closed, strict=True))


def test_chances_are_those_of_the_model(model: Olmoe) -> None:
    prompts = [SYMBOLS.encode("a=1+2\n"), SYMBOLS.encode("b")]
    for prompt, chance in zip(prompts, reflection_chances(model, prompts), strict=True):
        logits = model.logits(torch.tensor([prompt]))[0, -1]
        assert chance == pytest.approx(float(logits.softmax(-1)[REFLECTION]), rel=1e-3)


def test_a_model_that_knows_nothing_scores_nothing(model: Olmoe) -> None:
    assert probe(model, SYMBOLS, TESTS).recovery == 0
    assert [accuracy for accuracy, _ in self_consistency(model, SYMBOLS, TESTS, (1, 2))] == [0, 0]
    accuracy, tokens = verifier_guided(model, SYMBOLS, TESTS, rounds=2)
    assert accuracy == 0
    assert tokens > 0
    classes = token_classes(model, SYMBOLS, TESTS)
    assert set(classes) == {"plan", "next", "definition", "operand", "result", "output"}
    assert max(classes.values()) < 60


def test_a_study_goes_on_where_it_was(config: MiniDagConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "study.toml").write_text(
        TINY.read_text() + '[study]\nplan = ["A: 0", "B\': 1", "F: 0"]\nproblems = 4\npoints = 2\npoint_problems = 2\n'
    )
    planned = study.read_config(tmp_path / "study.toml")
    made = study.study(planned, tmp_path / "runs", tmp_path / "results")
    assert json.loads((tmp_path / "results" / "rows.json").read_text()) == made
    assert [(row["arm"], row["seed"]) for row in made] == [("A", 0), ("B'", 1), ("F", 0)]
    wanted = {
        "arm", "seed", "in_accuracy", "beyond_accuracy", "i_to_c", "c_to_i", "retries", "generated_tokens",
        "train_tokens", "forced_error_recovery", "p_reflect_wrong", "p_reflect_right",
    }  # fmt: skip
    assert wanted <= set(made[0])
    assert [point["step"] for point in made[0]["curve"]] == [8, 12]
    assert {"self_consistency", "verifier_guided", "forced_reflection"} == set(made[0]["inference"])
    (tmp_path / "runs" / "A-0" / "row.json").unlink()
    monkeypatch.setattr(study, "train", lambda *_args, **_named: pytest.fail("trained again"))
    assert study.study(planned, tmp_path / "runs", tmp_path / "results") == made
    other = replace(planned, optimizer=replace(planned.optimizer, learning_rate=0.1))
    with pytest.raises(UsageError, match=r"optimizer.learning_rate was 0.00\d+, not 0.1"):
        study.study(other, tmp_path / "runs", tmp_path / "results")


def test_what_an_arm_begins_with_is_what_it_would_have_learned_alone(tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(
        TINY.read_text() + '[study]\nplan = ["A: 0", "B\': 0"]\nproblems = 4\npoints = 1\npoint_problems = 2\n'
    )
    planned = study.read_config(tmp_path / "study.toml")
    study.study(planned, tmp_path / "runs", tmp_path / "results")
    alone = train(planned, tmp_path / "alone").checkpoint
    there = tmp_path / "runs" / "B'-0" / "last"
    assert (there / "model.safetensors").read_bytes() == (alone / "model.safetensors").read_bytes()
    assert len(read_metrics(tmp_path / "runs" / "B'-0")) == len(read_metrics(tmp_path / "alone")) == 12


@pytest.mark.parametrize("line", ["H: 0", "A:", "A: x", "A"])
def test_a_plan_names_arms_and_seeds(tmp_path: Path, line: str) -> None:
    (tmp_path / "study.toml").write_text(TINY.read_text() + f'[study]\nplan = ["{line}"]\n')
    with pytest.raises(UsageError, match=r"write an arm of A B B' C D E F G and its seeds"):
        study.read_config(tmp_path / "study.toml")


def test_only_reflections_are_moved() -> None:
    text = "a=1+2=a4\n<reflection>\na=1+2=a3\n</reflection>\n"
    written = Written(tuple(SYMBOLS.encode(text)), ended=True)
    ids, labels = rl.labelled([5, 6], written, everything=False)
    assert ids == [5, 6, *SYMBOLS.encode(text), 0]
    moved = [label for label in labels if label != IGNORED]
    assert SYMBOLS.decode(moved) == "<reflection>\na=1+2=a3\n</reflection>"
    _, everything = rl.labelled([5, 6], written, everything=True)
    assert everything == [IGNORED, IGNORED, *ids[2:]]


def test_advantages_are_within_a_group() -> None:
    assert rl.advantages([1, 0, 1, 1], 2) == [1, -1, 0, 0]


def test_what_is_rewarded_gets_likelier(model: Olmoe) -> None:
    ids = SYMBOLS.encode("a=1+2=a4\n<reflection>\na=1+2=a3\n</reflection>\n")
    row = rl.labelled([0], Written(tuple(ids), ended=False), everything=False)
    learner = Olmoe(model.config)
    learner.load_state_dict(model.state_dict())
    loss, moved = rl.policy_loss(learner, [(*row, 1.0)])
    loss.backward()
    with torch.no_grad():
        for parameter in learner.parameters():
            if parameter.grad is not None:
                parameter -= 0.01 * parameter.grad
    assert moved == len(SYMBOLS.encode("<reflection>\na=1+2=a3\n</reflection>"))
    with torch.no_grad():
        after, opposite = (rl.policy_loss(learner, [(*row, gain)])[0] for gain in (1.0, -1.0))
        assert after.item() < loss.item()
        assert opposite.item() == pytest.approx(-after.item())


def test_a_policy_is_improved_into_a_new_folder(config: MiniDagConfig, tmp_path: Path) -> None:
    trained = train(replace(config, schedule=replace(config.schedule, steps=6)), tmp_path / "run")
    settings = rl.PolicySettings(steps=2, groups=2, size=2, operations=(1, 2), moved="all")
    steps = rl.improve(trained.checkpoint, tmp_path / "out", settings)
    assert [each.step for each in steps] == [0, 1]
    assert json.loads((tmp_path / "out" / "policy.json").read_text())["settings"]["moved"] == "all"
    assert Tokenizer.from_folder(tmp_path / "out").size == len(TOKENS)
