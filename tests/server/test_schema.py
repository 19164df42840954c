"""Whatever fits the OpenAPI description, and much that does not, is answered without a fault of the server's."""

from collections.abc import Iterator

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error

from tests.retrieval.conftest import VOYAGE
from tests.server.conftest import Served, serving

_EXAMPLES = 12


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("home")) as served:
        served.upload(("voyage.md", VOYAGE.encode()))
        yield served


def test_no_request_makes_the_server_fail(server: Served) -> None:
    schema = schemathesis.openapi.from_url(f"{server.address}/openapi.json")
    tried = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        seen: list[int] = []

        @hypothesis.settings(
            max_examples=_EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy())
        def answers(case: schemathesis.Case, seen: list[int] = seen) -> None:
            response = case.call(base_url=server.address, timeout=20)
            seen.append(response.status_code)
            case.validate_response(response, checks=[not_a_server_error])

        answers()
        assert seen
        tried += 1
    assert tried > 20
    assert server.http.get("/api/health").status_code == 200
