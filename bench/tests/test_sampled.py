"""A sample belongs to the innermost function that is listed."""

import pytest

from bench.sampled import SERVER, part_of

PACKAGES = "/venv/lib/python3.11/site-packages"
THREAD = f"{PACKAGES}/uvicorn/server.py:serve"


@pytest.mark.parametrize(
    ("functions", "part"),
    [
        ([f"{PACKAGES}/psycopg/cursor.py:execute", "/parley/apps/posts/views.py:list"], "SQL"),
        (["/lib/json/encoder.py:encode", "/parley/apps/posts/shapes.py:post_shape"], "rendering"),
        (["/parley/apps/core/http/hot_reads.py:render"], "rendering"),
        (["/parley/apps/core/http/hot_reads.py:accept"], "hot read"),
        ([f"{PACKAGES}/jwt/api_jwt.py:decode"], "token"),
        (["/parley/apps/core/ratelimit.py:take_now", "/parley/hot_reads.py:accept"], "limit"),
        (["/parley/apps/core/http/request_log.py:log_request"], "log"),
        ([f"{PACKAGES}/rest_framework/views.py:dispatch"], "view"),
        ([f"{PACKAGES}/corsheaders/middleware.py:__call__"], "middleware"),
        ([], SERVER),
    ],
)
def test_a_stack_belongs_to_its_innermost_part(functions: list[str], part: str) -> None:
    assert part_of([*functions, THREAD]) == part
