"""What `seriatim serve` tells the browser."""

from typing import Any

import pytest

from seriatim.cli import serve
from seriatim.errors import UsageError


def test_the_browser_gets_the_token_as_an_address_carries_it(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(serve, "_open", opened.append)
    monkeypatch.setattr("seriatim.server.running.serve", lambda settings, started: started("http://127.0.0.1:1"))
    serve.serve(token="a+b/c=d&e#f g")
    assert opened == ["http://127.0.0.1:1/?token=a%2Bb%2Fc%3Dd%26e%23f%20g"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"model": "nope"}, "no model is named 'nope'"),
        ({"model": "/no/such.gguf"}, "there is no model /no/such.gguf"),
        ({"embedder": "nope"}, "'nope' is no embedder"),
        ({"allow_host": ["http://here"]}, "is no host's name"),
        ({"allow_host": ["seriatim.example.org"]}, "can be reached from other machines, so a token is needed"),
    ],
)
def test_what_cannot_serve_is_told_at_the_start(options: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        serve.serve(**options)
