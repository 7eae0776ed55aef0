"""The push service of the tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.notifications.tests.push_service import PushService, make_certificate, push_service_on


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def push_service(certificate: Path) -> Iterator[PushService]:
    with push_service_on(certificate) as service:
        yield service
