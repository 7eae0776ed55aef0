"""A moderator sees in the admin why somebody did or did not get something."""

import pytest

from apps.accounts.tests.people import Person
from apps.notifications.tests.test_notify import tell
from config.tests.test_admin import pages_of

pytestmark = pytest.mark.django_db


def test_a_moderator_sees_what_became_of_a_notification_and_not_what_it_tells(
    alice: Person, bob: Person, moderator: Person
) -> None:
    [told] = tell([alice], title="Secret words", body="More of them")
    tell([bob], key="other")
    browser = pages_of(moderator)
    listed = browser.get(f"/admin/notifications/notification/?recipient={alice.id}")
    assert listed.context["cl"].result_count == 1
    page = browser.get(f"/admin/notifications/notification/{told.pk}/change/").text
    for line in (
        "websocket: sent, sent",
        "email: skipped, address_unverified",
        "push: skipped, no_subscription",
    ):
        assert line in page
    assert "Secret words" not in page + listed.text
    assert "More of them" not in page
