"""A real server with a model that writes what its script says, word by word: `python -m …scripted_server HOME PORT`.

The question decides: "slowly" in it makes the words come slowly, and one with a word of `ANSWERS` has its own answer.
"""

import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from seriatim.models.generator import Message, Piece, Usage
from seriatim.reflection.prompts import REFUSAL
from seriatim.sampling import Sampling
from seriatim.server.running import serve
from seriatim.server.settings import Settings

FAST_S, SLOW_S = 0.002, 0.4
PLAN = " the years that Mr Rooke names in his letter."
THINKING = " in his letter of 11 October. He says how long he has been a surveyor."
WRONG = "Mr Rooke had been a surveyor for 19 years."
RIGHT = "Mr Rooke had been a surveyor for twenty-six years."
HOSTILE = 'Mr Rooke had been a surveyor for twenty-six years. <img src=x onerror="document.title=1"><b>bold</b>'
WAGE = "Mr Rooke paid Wilf Anning a crown a week."
ANSWERS = {"hostile": HOSTILE, "wage": WAGE, "gauge": "The gauge was read at seven every morning.", "tax": REFUSAL}


class ScriptedModel:
    """A `Generator`; the first draft about Mr Rooke's years is wrong, and the one after a reflection right."""

    name = "scripted"
    context_tokens = 8192
    span_tokens = 8192

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def stream(
        self,
        messages: Sequence[Message],
        *,
        prefix: str = "",
        stop: Sequence[str] = (),
        max_tokens: int = 512,
        sampling: Sampling | None = None,
    ) -> Iterator[Piece]:
        asked = messages[-1].content
        text = _text(asked, prefix)
        question = asked.rpartition("Question:")[2].partition("(asked after")[0]
        for word in re.findall(r"\s*\S+", text):
            time.sleep(SLOW_S if "slowly" in question else FAST_S)
            yield Piece(word)
        yield Piece(finish_reason="stop", usage=Usage(prompt_tokens=900, completion_tokens=len(text.split())))

    def close(self) -> None: ...


def _text(asked: str, prefix: str) -> str:
    if "Proposed answer:" in asked:
        return "correct"
    question = asked.rpartition("Question:")[2].partition("(asked after")[0]
    if prefix.endswith("<output>\n"):
        scripted = next((answer for word, answer in ANSWERS.items() if word in question), None)
        return scripted or (RIGHT if "<reflection>" in prefix else WRONG)
    if prefix.rfind("<reflection>") > prefix.rfind("</reflection>"):
        return "The nineteen years are the clerk's own. The surveyor names twenty-six."
    return THINKING if "</plan>" in prefix else PLAN


if __name__ == "__main__":
    settings = Settings(
        home=Path(sys.argv[1]),
        port=int(sys.argv[2]),
        model="scripted",
        embedder="static",
        open_model=lambda *_: ScriptedModel(),
        stop_s=8,
    )
    serve(settings, started=lambda address: print(address, flush=True))
