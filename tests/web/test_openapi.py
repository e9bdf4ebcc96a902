"""The description of the API, and everything that it allows, asked of both databases."""

from datetime import timedelta

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase
from starlette.testclient import TestClient

from accountd.web.operations import OPERATIONS
from tests.web.conftest import LOCAL, build

EXAMPLES = 6
HERE = {"host": "localhost"}
SAME = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
ADDRESSES = sorted({"/api/v1" + one.path for one in OPERATIONS} | {"/api/v1/events", "/api/v1/openapi.json"})


def test_description_names_every_path(browser):
    """The description is OpenAPI 3.1 and has each path with its parameters and refusals."""
    told = browser.get("/api/v1/openapi.json").json()
    assert told["openapi"].startswith("3.1")
    assert sorted(told["paths"]) == ADDRESSES
    for path in told["paths"].values():
        assert path["get"]["summary"]
        assert {"200", "400", "404", "503"} <= set(path["get"]["responses"])


def test_description_asks_for_the_token_only_where_one_is_needed(still_url):
    """With a token the description says how to present it."""
    built = build(still_url, token="a-token")
    with TestClient(built, base_url=LOCAL, headers={"authorization": "Bearer a-token"}) as browser:
        told = browser.get("/api/v1/openapi.json").json()
    built.state.close()
    assert told["security"] == [{"bearer": []}]
    assert "401" in told["paths"]["/api/v1/fills"]["get"]["responses"]


@pytest.mark.parametrize("path", ADDRESSES)
def test_everything_that_is_allowed_is_answered(still_url, path):
    """Whatever the description allows or forbids: no 5xx, and every answer is as described."""
    built = build(still_url)
    try:
        _ask(schemathesis.openapi.from_asgi("/api/v1/openapi.json", built, headers=HERE).include(path=path))
    finally:
        built.state.close()


def _ask(schema):
    for result in schema.get_all_operations():
        operation = result.ok()
        strategy = operation.as_strategy() | operation.as_strategy(
            generation_mode=schemathesis.GenerationMode.NEGATIVE
        )

        @hypothesis.given(case=strategy)
        @hypothesis.settings(
            max_examples=EXAMPLES, deadline=timedelta(seconds=10), database=None, derandomize=True,
            suppress_health_check=SAME, phases=[Phase.explicit, Phase.generate],
        )  # fmt: skip
        def ask(case):
            if case.path.endswith("/events"):
                case.query = dict(case.query or {}) | {"wait": "0"}  # or the answer would not end
            case.call_and_validate(headers=HERE)

        ask()
