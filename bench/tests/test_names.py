"""Every benchmark can be found by its name."""

import re
from pathlib import Path

from bench.__main__ import NAMES

ROOT = Path(__file__).parent.parent.parent


def test_every_benchmark_can_be_named_to_make() -> None:
    named = re.search(r"^BENCHMARKS := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert named is not None
    assert tuple(named[1].split()) == NAMES


def test_every_benchmark_is_described() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(NAMES)
