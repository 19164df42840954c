"""Many prompts answered at once by a model of Llama's kind: a token of each a step, so that weights are read once.

Shapes: N rows (tokens of a step), S slots (answers under way), C context, H query heads, K key heads, G queries a key
head, D a head's dimension.
"""

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 256  # of a prompt's tokens at a time, so that they stay in the cache
_TAIL = 32  # of what was written, in which a stop string may have ended


@dataclass
class Asked:
    """A prompt, how it is to be answered, and what has been written until now."""

    ids: list[int]
    most: int
    stops: list[str] = field(default_factory=list)
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    written: list[int] = field(default_factory=list)
    finish: str = ""
    gone: bool = False  # whoever asked no longer waits
    ended: threading.Event = field(default_factory=threading.Event)
    drawn: torch.Generator = field(default_factory=torch.Generator)


class Batches:
    """Answers up to `slots` prompts at once, in a thread of its own."""

    def __init__(self, model: Any, tokenizer: Any, *, slots: int, context: int) -> None:
        self._model, self._tokenizer, self._context = model, tokenizer, context
        config = model.config
        self._heads = config.num_key_value_heads
        self._dimension = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        size = (slots, self._heads, context, self._dimension)
        self._cache = [
            tuple(torch.zeros(size, dtype=torch.bfloat16) for _ in range(2)) for _ in range(config.num_hidden_layers)
        ]
        stated = model.generation_config.eos_token_id
        self._ends = set(stated if isinstance(stated, list) else [stated])
        self._waiting: queue.SimpleQueue[Asked] = queue.SimpleQueue()
        self._slots: list[Asked | None] = [None] * slots
        threading.Thread(target=self._work, daemon=True).start()

    def ask(self, asked: Asked) -> None:
        """Let a prompt be answered; `asked.ended` says when. Raises `ValueError` for one that is too long."""
        if len(asked.ids) + asked.most > self._context:
            raise ValueError(
                f"{len(asked.ids)} tokens and {asked.most} to write are more than the {self._context} of the context"
            )
        self._waiting.put(asked)

    def text(self, asked: Asked) -> str:
        """What has been written, without the stop string that ended it."""
        text: str = self._tokenizer.decode(asked.written, skip_special_tokens=True)
        return text[: min((found for each in asked.stops if (found := text.find(each)) >= 0), default=len(text))]

    @torch.inference_mode()
    def log_probabilities(self, ids: list[int]) -> Tensor:
        """Those of the next token after each of `ids`, [N, V], as a prompt is read; while nothing is asked."""
        return torch.cat([self._model.lm_head(part).log_softmax(-1) for part in self._prompt(ids, 0)])

    @torch.inference_mode()
    def _work(self) -> None:
        while True:
            busy = [slot for slot, asked in enumerate(self._slots) if asked]
            free = [slot for slot, asked in enumerate(self._slots) if not asked]
            while free and (not busy or not self._waiting.empty()):
                slot = free.pop()
                self._begin(slot, self._waiting.get())
                busy = [slot for slot, asked in enumerate(self._slots) if asked]
            if busy:
                self._go_on(busy)

    def _begin(self, slot: int, asked: Asked) -> None:
        """Read a prompt, and write its first token."""
        asked.drawn.manual_seed(asked.seed)
        self._slots[slot] = asked
        *_, last_NE = self._prompt(asked.ids, slot)
        self._write([slot], last_NE[-1:])

    def _go_on(self, busy: list[int]) -> None:
        """Write the next token of every answer under way."""
        under_way = [asked for slot in busy if (asked := self._slots[slot])]
        ids = [asked.written[-1] for asked in under_way]
        positions = [len(asked.ids) + len(asked.written) - 1 for asked in under_way]
        self._write(busy, self._forward(torch.tensor(ids), torch.tensor(positions), torch.tensor(busy)))

    def _prompt(self, ids: list[int], slot: int) -> Iterator[Tensor]:
        """Read a prompt into a slot, in chunks, whose outputs are yielded."""
        for start in range(0, len(ids), CHUNK):
            part = torch.tensor(ids[start : start + CHUNK])
            positions = torch.arange(start, start + len(part))
            yield self._forward(part, positions, torch.full_like(part, slot), alone=True)

    def _forward(self, ids_N: Tensor, positions_N: Tensor, slots_N: Tensor, *, alone: bool = False) -> Tensor:
        """The last layer's output for rows of one slot (`alone`), or for a row each of several."""
        model, end = self._model.model, int(positions_N.max()) + 1
        hidden_NE = model.embed_tokens(ids_N)
        cos, sin = (each[0, :, None] for each in model.rotary_emb(hidden_NE[None], positions_N[None]))
        if alone:
            mask = torch.arange(end) <= positions_N[:, None]
        else:
            mask = torch.zeros(len(self._slots), 1, 1, end, dtype=torch.bool)
            mask[slots_N] = (torch.arange(end) <= positions_N[:, None])[:, None, None]
        for block, (keys, values) in zip(model.layers, self._cache, strict=True):
            attention = block.self_attn
            rows_NE = block.input_layernorm(hidden_NE)
            q_NHD, k_NKD, v_NKD = (
                each(rows_NE).view(len(ids_N), -1, self._dimension)
                for each in (attention.q_proj, attention.k_proj, attention.v_proj)
            )
            keys[slots_N, :, positions_N] = _rotated(k_NKD, cos, sin).bfloat16()
            values[slots_N, :, positions_N] = v_NKD.bfloat16()
            q_NHD = _rotated(q_NHD, cos, sin).bfloat16()
            mixed = self._attended(q_NHD, keys, values, slots_N, mask, end, alone=alone)
            hidden_NE = hidden_NE + attention.o_proj(mixed.float())
            hidden_NE = hidden_NE + block.mlp(block.post_attention_layernorm(hidden_NE))
        return model.norm(hidden_NE)

    def _attended(
        self, q_NHD: Tensor, keys: Tensor, values: Tensor, slots_N: Tensor, mask: Tensor, end: int, *, alone: bool
    ) -> Tensor:
        """What attention gives, [N, H * D]. The queries that share a key head stand one behind the other, as if they
        were a sequence, so that no key is copied."""
        count = len(q_NHD)
        q_NKGD = q_NHD.view(count, self._heads, -1, self._dimension)
        if alone:
            slot = int(slots_N[0])
            groups = q_NKGD.shape[2]
            queries = q_NKGD.permute(1, 2, 0, 3).reshape(1, self._heads, groups * count, self._dimension)
            found = F.scaled_dot_product_attention(
                queries, keys[slot : slot + 1, :, :end], values[slot : slot + 1, :, :end], mask.repeat(groups, 1)
            )
            mixed = found.view(self._heads, groups, count, self._dimension).permute(2, 0, 1, 3)
            return mixed.reshape(count, -1)
        queries = torch.zeros(len(self._slots), *q_NKGD.shape[1:], dtype=q_NKGD.dtype)
        queries[slots_N] = q_NKGD
        mask = mask | ~mask.any(-1, keepdim=True)  # an idle slot attends to anything, or its zeros become no numbers
        found = F.scaled_dot_product_attention(queries, keys[:, :, :end], values[:, :, :end], mask)
        return found[slots_N].reshape(count, -1)

    def _write(self, slots: list[int], hidden_NE: Tensor) -> None:
        """Add a token to each answer, and end those that are done."""
        logits_NV = self._model.lm_head(hidden_NE)
        for slot, logits_V in zip(slots, logits_NV, strict=True):
            asked = self._slots[slot]
            assert asked
            token = _chosen(logits_V, asked)
            if token in self._ends:
                asked.finish = "stop"
            else:
                asked.written.append(token)
                tail = self._tokenizer.decode(asked.written[-_TAIL:]) if asked.stops else ""
                if any(each in tail for each in asked.stops):
                    asked.finish = "stop"
                elif len(asked.written) >= asked.most or asked.gone:
                    asked.finish = "length"
            if asked.finish:
                self._slots[slot] = None
                asked.ended.set()


def _rotated(rows: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    one, other = rows.chunk(2, dim=-1)
    return rows * cos + torch.cat([-other, one], dim=-1) * sin


def _chosen(logits_V: Tensor, asked: Asked) -> int:
    """The likeliest token, or one drawn at the temperature from the likeliest that make up `top_p`."""
    if not asked.temperature:
        return int(logits_V.argmax())
    chances, ids = (logits_V / asked.temperature).softmax(-1).sort(descending=True)
    kept = chances.cumsum(0) - chances < asked.top_p
    return int(ids[torch.multinomial(chances * kept, 1, generator=asked.drawn)])
