"""Without the commit of the build before, the benchmarks run and say so."""

import pytest

from bench import before
from bench.servers import Backend


def test_a_commit_that_is_not_there_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with before.build_before(Backend("", {}), "f" * 40) as found:
        assert found is None
    assert f"does not have {'f' * 40}" in capsys.readouterr().out
