"""`manage.py worker`, which kills itself at a marked point, for tests of what is left then.

python -m apps.jobs.tests.killed_worker '{"when": "after", "call": "apps.posts.tasks._tell",
    "times": 2, "with": {"apps.posts.tasks.TOLD_AT_ONCE": 100}}'

`call` is the dotted name of a function, and the worker ends before or after it is called for so
many times. `with` are values that it has instead of its own.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from pkgutil import resolve_name
from typing import Any

import django
from django.core.management import execute_from_command_line


def main(point: str) -> None:
    """Work until the point is reached."""
    given = json.loads(point)
    django.setup()
    for name, value in given["with"].items():
        _replace(name, value)
    marked = _dying(given["when"], resolve_name(given["call"]), given["times"])
    _replace(given["call"], marked)
    execute_from_command_line(["manage.py", "worker", "--threads", "1"])


def _replace(name: str, value: object) -> None:
    owner, _, attribute = name.rpartition(".")
    setattr(resolve_name(owner), attribute, value)


def _dying(when: str, function: Callable[..., Any], times: int) -> Callable[..., Any]:
    calls = 0

    def called(*given: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if when == "before" and calls == times:
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*given, **named)
        if when == "after" and calls == times:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return called


if __name__ == "__main__":
    main(sys.argv[1])
