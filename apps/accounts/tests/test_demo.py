"""What `make demo` makes of accounts."""

import pytest
from django.test import Client

from apps.accounts.demo import DEMO_MODERATOR, DEMO_NAMES, DEMO_PASSWORD, demo
from apps.accounts.models import User

pytestmark = pytest.mark.django_db


def test_demo_says_how_to_log_in_as_its_moderator_and_a_second_run_adds_nobody() -> None:
    said = demo()
    assert DEMO_PASSWORD in said
    assert DEMO_MODERATOR in said
    browser = Client()
    form = {"username": DEMO_MODERATOR, "password": DEMO_PASSWORD, "next": "/admin/"}
    assert browser.post("/admin/login/", form).status_code == 302
    assert browser.get("/admin/accounts/user/").status_code == 200
    assert demo() == said
    assert User.objects.count() == len(DEMO_NAMES) + 1
    assert User.objects.exclude(role=User.Role.USER).get().role == User.Role.MODERATOR
