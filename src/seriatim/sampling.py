"""How a model's next token is drawn."""

from dataclasses import dataclass

from seriatim.errors import UsageError


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn. Temperature 0 is greedy; top-k 0, top-p 1, min-p 0 and a repeat penalty of 1 are off.

    Raises `UsageError` for a seed that is not of 63 bits.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repeat_penalty: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 1 << 63:
            raise UsageError(f"a seed is a whole number from 0 to {(1 << 63) - 1}, not {self.seed}")


GREEDY = Sampling()
