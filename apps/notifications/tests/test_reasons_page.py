"""docs/notifications.md explains each reason."""

import re

from django.conf import settings

from apps.notifications.models import Delivery


def test_the_page_explains_each_reason_and_no_other() -> None:
    page = (settings.BASE_DIR / "docs" / "notifications.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", page, re.MULTILINE)
    assert sorted(reason for reason, _ in rows) == sorted(Delivery.Reason.values)
    assert {decision for _, decision in rows} == set(Delivery.Decision.values)
