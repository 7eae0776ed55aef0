"""The mailbox of the tests."""

from pathlib import Path
from typing import Any

import pytest

from apps.mail.tests.mailbox import Mailbox


@pytest.fixture
def mailbox(db: Any, settings: Any, tmp_path: Path) -> Mailbox:
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = tmp_path / "mail"
    return Mailbox(tmp_path / "mail")
