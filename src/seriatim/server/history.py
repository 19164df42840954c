"""Answers that are kept: every finished one, until somebody removes it."""

import json
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from typing import Any

from seriatim.server.database import Database
from seriatim.server.errors import NotFound

# Backslashes also break what some programs would make a link of without any markup: http://… and www.…
_NUMBERED = re.compile(r"^(\d{1,9})\.")
_MARKUP = re.compile(r"[\\`*_{}\[\]()#+!|~]|^-|:(?=//)|(?<=www)\.", re.IGNORECASE)


class History:
    """The finished answers of all libraries, each a whole `ask --json` object with an id and a time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, library: str, answer: Mapping[str, Any], *, after: str | None) -> dict[str, Any]:
        """Keep an answer; returns it with `id`, `library`, `created` and the answer it comes `after`. When this
        returns, it is on the disk."""
        kept = {
            "id": secrets.token_hex(8),
            "library": library,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "after": after,
            **answer,
        }
        self._database.run(
            "INSERT INTO answers (id, library, created, whole) VALUES (?, ?, ?, ?)",
            (kept["id"], library, kept["created"], json.dumps(kept)),
        )
        return kept

    def get(self, key: str) -> dict[str, Any]:
        """An answer by its id. Raises `NotFound`."""
        rows = self._database.run("SELECT whole FROM answers WHERE id = ?", (key,))
        if not rows:
            raise NotFound(f"there is no answer {key[:40]!r}; GET /api/answers lists those that are kept")
        whole: dict[str, Any] = json.loads(rows[0][0])
        return whole

    def listed(self, *, library: str | None, limit: int, before: str | None) -> list[dict[str, Any]]:
        """The latest answers, of one library or of all; those before one of them, where asked."""
        conditions, values = ["1"], []
        if library is not None:
            conditions.append("library = ?")
            values.append(library)
        if before is not None:
            self.get(before)
            conditions.append("number < (SELECT number FROM answers WHERE id = ?)")
            values.append(before)
        rows = self._database.run(
            f"SELECT whole FROM answers WHERE {' AND '.join(conditions)} ORDER BY number DESC LIMIT ?",  # noqa: S608
            (*values, limit),
        )
        shown = ("id", "library", "question", "answer", "created", "via")
        wholes = [{"via": "http", **json.loads(text)} for (text,) in rows]  # earlier versions did not keep it
        return [{name: whole[name] for name in shown} for whole in wholes]

    def remove(self, key: str) -> None:
        """Forget an answer. Raises `NotFound`."""
        self.get(key)
        self._database.run("DELETE FROM answers WHERE id = ?", (key,))

    def forget_library(self, library: str) -> None:
        """Forget all answers of a library that is removed."""
        self._database.run("DELETE FROM answers WHERE library = ?", (library,))


def markdown(answer: Mapping[str, Any]) -> str:
    """An answer as Markdown, with its citations as quotations under the numbers that the answer has.

    All text is escaped: neither model nor document can put a link, a picture or HTML into it.
    """
    lines = [f"# {_plain(answer['question'])}", ""]
    for paragraph in re.split(r"\n\s*\n", answer["answer"].strip()):
        lines += [_plain(paragraph), ""]
    if answer["citations"]:
        lines += ["## Citations", ""]
    for citation in answer["citations"]:
        page = f", page {citation['page']}" if citation.get("page") else ""
        doubt = "" if citation["supported"] else " (does not bear it out)"
        lines += [f"- \\[{citation['passage']}\\] {_plain(citation['document'])}{page}{doubt}:", ""]
        lines += [f"  > {_plain(citation['quote'])}", ""]
    lines += [f"Answered by {_plain(answer['model'])} on {answer['created'][:10]}.", ""]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Text that Markdown, and a program that takes it for HTML, shows as it stands, on one line."""
    escaped = _MARKUP.sub(r"\\\g<0>", escape(" ".join(text.split()), quote=False))
    return _NUMBERED.sub(r"\1\\.", escaped)
