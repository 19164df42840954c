"""The reference that is made from the code is that of this code."""

import importlib.util
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"


def test_the_generated_reference_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec
    assert spec.loader
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    for name, text in generate.pages().items():
        assert (DOCS / name).read_text(encoding="utf-8") == text, f"docs/{name} is old: run python docs/generate.py"


def test_every_command_is_explained() -> None:
    explained = (DOCS / "reference.md").read_text(encoding="utf-8")
    made = (DOCS / "commands.md").read_text(encoding="utf-8")
    for line in made.splitlines():
        if line.startswith("## seriatim "):
            words = line.removeprefix("## ").split()
            assert " ".join(words[:2]) in explained, line
            assert words[-1] in explained, line
