"""Records the examples of openapi.yaml: real requests, and the responses of the server.

The test of an app makes one call for each of its operations, and compares them with the committed
`examples.json` of the app. `RECORD_EXAMPLES=1 pytest -k test_examples` writes the files; then run
`make swagger`.
"""

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from apps.core.examples import EXAMPLE_META, EXAMPLE_TIME

RECORD = "RECORD_EXAMPLES"

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
# What differs at each run, and is neither an id nor a time.
_STEADY = {
    "accessToken": "eyJhbGciOiJIUzI1NiJ9.access.signature",
    "refreshToken": "eyJhbGciOiJIUzI1NiJ9.refresh.signature",
    "token": "q3Zt9XbV2mKc7RwY",
    "ticket": "8Jx0hWq2vYb7",
    "epoch": "9c1d00000001",
    "nextCursor": "WyJuIl0",
    "prevCursor": "WyJwIl0",
}

Example = Callable[[Any], Any]


@contextmanager
def examples_of(recorded: Path) -> Iterator[Example]:
    """Yield a function that takes the response to a request as an example, and returns its body.
    Fail after the block unless the examples are those that the file records."""
    found: dict[str, Any] = {}

    def example(response: Any) -> Any:
        operation, request = _sent(response)
        one = found.setdefault(operation, {"request": request, "responses": {}})
        one["responses"][str(response.status_code)] = response.json()
        return response.json()

    yield example
    steady = _Steady().value(found)
    if os.environ.get(RECORD):
        recorded.write_text(json.dumps(steady, indent=2, ensure_ascii=False) + "\n")
    assert steady == json.loads(recorded.read_text()), (
        f"{recorded} is stale: set {RECORD}=1, run this test again, and then make swagger"
    )


def _sent(response: Any) -> tuple[str, dict[str, Any]]:
    """Return the id of the operation that was called, and the parts of the request."""
    view, request = response.renderer_context["view"], response.renderer_context["request"]
    # OpenAPI calls the key of an object id.
    path = {"id" if name == "pk" else name: value for name, value in view.kwargs.items()}
    query = {
        name: int(value) if value.isdigit() else value
        for name, value in request.query_params.items()
    }
    parts = {"path": path, "query": query, "body": request.data if view.endpoint.input else {}}
    given = {name: dict(part) for name, part in parts.items() if part}
    return f"{view.basename}_{view.action}", given


class _Steady:
    """Replaces what differs at each run by values that look alike, and the same one each time."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def value(self, found: Any) -> Any:
        """Return the value with everything in it replaced."""
        if isinstance(found, dict):
            return {name: self._member(name, one) for name, one in found.items()}
        if isinstance(found, list):
            return [self.value(one) for one in found]
        if not isinstance(found, str):
            return found
        return _TIME.sub(EXAMPLE_TIME, _ID.sub(self._id, found))

    def _member(self, name: str, found: Any) -> Any:
        if name == "meta":
            return {**EXAMPLE_META, "path": self.value(found["path"]), "method": found["method"]}
        return _STEADY[name] if name in _STEADY and found else self.value(found)

    def _id(self, match: re.Match[str]) -> str:
        number = len(self._ids) + 1
        return self._ids.setdefault(match[0], f"01930e1c-7f6a-7b3e-9c1d-{number:012}")
