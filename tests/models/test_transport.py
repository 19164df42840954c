from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seriatim.models.transport import event_lines, origin, retry_after_s


def test_a_wait_is_read_as_seconds_or_as_a_date() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    past = format_datetime(datetime.now(UTC) - timedelta(seconds=60), usegmt=True)

    assert retry_after_s("7") == 7
    assert 50 < (retry_after_s(soon) or 0) <= 60
    assert retry_after_s(past) == 0
    assert retry_after_s("-5") == 0


@pytest.mark.parametrize("header", [None, "", "soon", "nan", "inf", "Wed, 99 Foo 2026 00:00:00 GMT"])
def test_a_wait_that_says_nothing_is_none(header: str | None) -> None:
    assert retry_after_s(header) is None


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:secret@example.org:8443/v1?key=secret", "https://example.org:8443"),
        ("http://[::1]:8000/v1", "http://[::1]:8000"),
        ("http://localhost", "http://localhost"),
    ],
)
def test_an_origin_holds_no_secret(url: str, shown: str) -> None:
    assert origin(url) == shown


@given(st.text(alphabet="ab\n\r\x0b\x85\u2028é"), st.integers(1, 5))
def test_lines_of_events_end_at_line_feeds_alone(text: str, size: int) -> None:
    data = text.encode()
    blocks = (data[start : start + size] for start in range(0, len(data), size))
    lines = list(event_lines(httpx.Response(200, content=blocks)))
    assert lines == [line.rstrip("\r") for line in text.split("\n")]
