"""An answer as Markdown."""

from seriatim.server.history import markdown


def test_paragraphs_stay_and_citations_have_the_numbers_of_the_answer() -> None:
    citation = {"passage": 8, "document": "log.md", "page": 3, "quote": "Eleven\ncrowns.", "supported": True}
    answer = {
        "question": "1. What?",
        "answer": "Eleven crowns [8].\nNo more.\n\n2. They were paid.\n\n# Loud",
        "citations": [citation, {**citation, "passage": 2, "page": None, "supported": False}],
        "model": "small",
        "created": "2026-01-02T03:04:05+00:00",
    }
    assert markdown(answer).split("\n") == [
        "# 1\\. What?",
        "",
        "Eleven crowns \\[8\\]. No more.",
        "",
        "2\\. They were paid.",
        "",
        "\\# Loud",
        "",
        "## Citations",
        "",
        "- \\[8\\] log.md, page 3:",
        "",
        "  > Eleven crowns.",
        "",
        "- \\[2\\] log.md (does not bear it out):",
        "",
        "  > Eleven crowns.",
        "",
        "Answered by small on 2026-01-02.",
        "",
    ]
