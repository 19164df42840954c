"""A policy gradient on the tokens of reflections alone, against its controls; as in Reflect, Retry, Reward
(arXiv 2505.24726), on a verifier's reward.

Of each problem a group of responses is drawn. A response whose answer is right is worth 1, else 0; its advantage is how
far it stands above its group (GRPO, arXiv 2402.03300, without clipping: each response is used once). What is made
likelier or less likely is what stands in reflections, tags included. The controls: `all` moves every token of the
response, `shuffled` moves reflections by the advantage of another response of the group.

Shapes: B responses, T tokens, V vocabulary.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, pstdev
from typing import Literal

import torch
from torch import Tensor

from seriatim.errors import UsageError
from seriatim.olmoe.model import Olmoe
from seriatim.olmoe.saving import save
from seriatim.olmoe.tokenizer import Tokenizer
from seriatim.progress import Progress
from seriatim.training.data.batches import IGNORED
from seriatim.training.minidag.decoding import Written, decode
from seriatim.training.minidag.evaluate import MOST, trained_model
from seriatim.training.minidag.prompts import asked
from seriatim.training.minidag.task import Problem, check, problems
from seriatim.training.minidag.vocabulary import REFLECTION, TOKENS, tokenizer

Moved = Literal["reflections", "all", "shuffled"]
_CLOSED = TOKENS.index("</reflection>")


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySettings:
    """`steps` steps, each on `groups` problems of some of `operations` operations, `size` responses drawn of each."""

    moved: Moved = "reflections"
    steps: int = 100
    groups: int = 16
    size: int = 8
    operations: tuple[int, ...] = (6, 7, 8)
    modulus: int = 10
    definitions: int = 15
    learning_rate: float = 1e-4
    temperature: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.groups) < 1 or self.size < 2 or min(self.temperature, self.learning_rate) <= 0:
            raise UsageError(
                "a policy gradient needs steps, groups of 2 or more responses, a temperature and a rate above 0"
            )


@dataclass(frozen=True, slots=True)
class PolicyStep:
    """What a step saw: the mean reward, reflections a response, and tokens that were moved and drawn."""

    step: int
    reward: float
    retries: float
    moved_tokens: int
    drawn_tokens: int


def improve(
    checkpoint: Path, out: Path, settings: PolicySettings, progress: Progress | None = None
) -> list[PolicyStep]:
    """Improve the model in `checkpoint` and write it to the new folder `out`, with `policy.json` beside its weights."""
    torch.manual_seed(settings.seed)
    model, symbols = trained_model(checkpoint), tokenizer()
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, betas=(0.9, 0.95), weight_decay=0.0)
    rng = random.Random(f"policy {settings.seed}")
    stream = problems(rng, settings.operations, "train", modulus=settings.modulus, definitions=settings.definitions)
    steps = []
    for step in range(settings.steps):
        group = [next(stream) for _ in range(settings.groups)]
        steps.append(_step(model, optimizer, symbols, group, settings, step))
        if progress:
            progress(f"reward {steps[-1].reward:.3f}, {steps[-1].retries:.2f} retries", step + 1, settings.steps)
    save(model, out, tokenizer=checkpoint)
    told = {"settings": asdict(settings), "steps": [asdict(each) for each in steps]}
    (out / "policy.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return steps


def _step(
    model: Olmoe,
    optimizer: torch.optim.Optimizer,
    symbols: Tokenizer,
    group: Sequence[Problem],
    settings: PolicySettings,
    step: int,
) -> PolicyStep:
    tasks = [problem for problem in group for _ in range(settings.size)]
    prompts = [asked(problem, symbols) for problem in tasks]
    seed = settings.seed * 1_000_003 + step
    written = decode(model, prompts, most=MOST, temperature=settings.temperature, seed=seed)
    checks = [check(problem, symbols.decode(each.ids)) for problem, each in zip(tasks, written, strict=True)]
    rewards = [float(each.correct and done.ended) for each, done in zip(checks, written, strict=True)]
    gains = advantages(rewards, settings.size)
    if settings.moved == "shuffled":
        shuffle = random.Random(f"shuffle {seed}")  # of its own: all settings draw the same problems
        gains = [
            gain
            for start in range(0, len(gains), settings.size)
            for gain in shuffle.sample(gains[start : start + settings.size], settings.size)
        ]
    moved = 0
    rows = [
        (*labelled(prompt, each, settings.moved == "all"), gain)
        for prompt, each, gain in zip(prompts, written, gains, strict=True)
        if gain
    ]
    rows = [row for row in rows if any(label != IGNORED for label in row[1])]
    if rows:
        loss, moved = policy_loss(model, rows)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    drawn = sum(len(each.ids) for each in written)
    return PolicyStep(step, fmean(rewards), fmean(each.retries for each in checks), moved, drawn)


def advantages(rewards: Sequence[float], size: int) -> list[float]:
    """How far each reward stands above the mean of its group of `size`, in the group's standard deviations; 0 where all
    are alike."""
    gains: list[float] = []
    for start in range(0, len(rewards), size):
        group = rewards[start : start + size]
        mean, spread = fmean(group), pstdev(group)
        gains += [(reward - mean) / spread if spread else 0.0 for reward in group]
    return gains


def labelled(prompt: Sequence[int], written: Written, everything: bool) -> tuple[list[int], list[int]]:
    """A response's ids, and as labels those that are moved: of reflections, tags included, or all that was written."""
    ids = [*written.ids, *([0] if written.ended else [])]
    labels, inside = [], False
    for id in ids:
        inside = inside or id == REFLECTION
        labels.append(id if inside or everything else IGNORED)
        inside = inside and id != _CLOSED
    return [*prompt, *ids], [IGNORED] * len(prompt) + labels


def policy_loss(model: Olmoe, rows: Sequence[tuple[list[int], list[int], float]]) -> tuple[Tensor, int]:
    """Minus the log-probability of the labelled tokens, each weighted by its response's advantage, a mean over them;
    and how many there are. Rows are ids, labels and advantage."""
    longest = max(len(ids) for ids, _, _ in rows)
    ids_BT = torch.tensor([[*ids, *[1] * (longest - len(ids))] for ids, _, _ in rows])
    labels_BT = torch.tensor([[*labels, *[IGNORED] * (longest - len(labels))] for _, labels, _ in rows])[:, 1:]
    gain_B1 = torch.tensor([[gain] for _, _, gain in rows])
    logprobs_BTV = model(ids_BT[:, :-1]).logits_BTV.log_softmax(-1)
    moved_BT = labels_BT != IGNORED
    chosen_BT = logprobs_BTV.gather(-1, labels_BT.clamp(min=0)[..., None])[..., 0]
    return -(gain_B1 * chosen_BT * moved_BT).sum() / moved_BT.sum(), int(moved_BT.sum())
