"""Reading the documents in tests."""

import re
from pathlib import Path

from django.conf import settings

DOCS: Path = settings.BASE_DIR / "docs"


def section(page: str, title: str) -> str:
    """Return the text below a heading of the second level of docs/<page>."""
    text = (DOCS / page).read_text()
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"{page} has no section {title}"
    return found[1]
