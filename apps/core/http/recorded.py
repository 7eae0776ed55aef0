"""The examples of openapi.yaml: requests that tests sent, and the responses that they got.

Each app keeps those of its operations in `examples.json`, in the folder of its views. Its tests
hold them equal to what the server answers (testing/examples.py).
"""

import json
from collections.abc import Mapping
from functools import cache
from inspect import getfile
from pathlib import Path
from typing import Any

FILE = "examples.json"


@cache
def recorded_examples(viewset: Any) -> Mapping[str, Any]:
    """Return the examples by operation; none if the app of the viewset has no file of them."""
    path = Path(getfile(viewset)).with_name(FILE)
    return dict(json.loads(path.read_text())) if path.exists() else {}
