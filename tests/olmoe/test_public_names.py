"""`seriatim.olmoe` gives its public names when they are asked for, and imports torch no sooner."""

import subprocess
import sys

import pytest

from seriatim import olmoe


@pytest.mark.parametrize("name", olmoe.__all__)
def test_each_public_name_is_there(name):
    assert getattr(olmoe, name)
    assert name in dir(olmoe)


def test_other_names_are_not():
    with pytest.raises(AttributeError, match="nonsense"):
        olmoe.nonsense  # noqa: B018


def test_the_config_and_the_tokenizer_need_no_torch():
    code = (
        "import sys; from seriatim import olmoe; olmoe.OLMOE_1B_7B, olmoe.Tokenizer; "
        "print('torch' in sys.modules, 'gguf' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
