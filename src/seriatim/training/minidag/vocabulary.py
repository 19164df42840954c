"""The task's symbols as a tokenizer of OLMoE's kind: letters, values, signs; each tag and turn's mark is one token."""

from seriatim.olmoe.tokenizer import CHAT_TEMPLATE, ROLES, Tokenizer, rebuilt
from seriatim.training.data.vocabulary import END, PADDING
from seriatim.training.minidag.task import OPERATORS, VALUES, VARIABLES

_TAGS = [f"<{slash}{name}>" for name in ("thinking", "plan", "reflection", "output") for slash in ("", "/")]
_MARKS = [f"<|{role}|>" for role in ROLES]
LINE_BREAK = "Ċ"  # byte-level BPE's sign for it
TOKENS = (END, PADDING, *_MARKS, *_TAGS, *VARIABLES, *VALUES, *OPERATORS, "=", "?", LINE_BREAK)
REFLECTION = TOKENS.index("<reflection>")


def tokenizer() -> Tokenizer:
    """The tokenizer; 0 ends a text, 1 is padding. What is no symbol of the task has no tokens."""
    added = range(2, 2 + len(_MARKS) + len(_TAGS))
    return Tokenizer(rebuilt(TOKENS, [], special=[0, 1], added=added), eos_id=0, pad_id=1, chat_template=CHAT_TEMPLATE)
