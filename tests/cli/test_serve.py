"""What `seriatim serve` tells the browser."""

import pytest

from seriatim.cli import serve


def test_the_browser_gets_the_token_as_an_address_carries_it(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(serve, "_open", opened.append)
    monkeypatch.setattr("seriatim.server.running.serve", lambda settings, started: started("http://127.0.0.1:1"))
    serve.serve(token="a+b/c=d&e#f g")
    assert opened == ["http://127.0.0.1:1/?token=a%2Bb%2Fc%3Dd%26e%23f%20g"]
