"""Browsers subscribe to web push, each for one session."""

from functools import partial
from typing import Any

import pytest
from django.conf import settings as configured
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.errors import SessionOver
from apps.accounts.models import Session
from apps.accounts.pruning import accounts_prune
from apps.accounts.tests.people import Person, set_status
from apps.core.tests.together import together
from apps.notifications.models import PushSubscription
from apps.notifications.push_subscriptions import subscribed_among, subscription_add
from apps.notifications.tests.push_service import Browser
from apps.notifications.vapid import public_key
from testing.client import ContractClient

pytestmark = pytest.mark.django_db

ROUTE = "/notifications/push-subscriptions"


def subscribe(person: Person, browser: Browser) -> PushSubscription:
    """Return the subscription of a browser, which this user now has."""
    response = person.post(ROUTE, browser.subscription)
    assert response.status_code == 201, response.content
    return PushSubscription.objects.get(pk=response.json()["data"]["id"])


def endpoints(person: Person) -> list[str]:
    """Return the last parts of the endpoints that the user sees in their list."""
    listed = person.get(ROUTE).json()["data"]
    return [one["endpoint"].rpartition("/")[2] for one in listed]


def test_a_browser_gets_the_key_and_subscribes(alice: Person) -> None:
    response = alice.get("/notifications/push-key")
    assert response.json()["data"] == {"publicKey": public_key(configured.VAPID_SECRET)}
    again = alice.get("/notifications/push-key", **{"If-None-Match": response["ETag"]})
    assert again.status_code == 304
    browser = Browser("laptop")
    stored = subscribe(alice, browser)
    assert (stored.p256dh, stored.auth) == (
        browser.subscription["keys"]["p256dh"],
        browser.subscription["keys"]["auth"],
    )
    assert subscribed_among([alice.user.pk]) == {alice.user.pk}


def test_the_same_subscription_again_is_200(alice: Person) -> None:
    browser = Browser("laptop")
    subscribe(alice, browser)
    before = PushSubscription.objects.values().get()
    response = alice.post(ROUTE, browser.subscription)
    assert (response.status_code, response.json()["data"]["id"]) == (200, str(before["id"]))
    assert PushSubscription.objects.values().get() == before


def test_a_new_endpoint_takes_the_place_of_the_sessions_former_one(alice: Person) -> None:
    subscribe(alice, Browser("before"))
    subscribe(alice, Browser("after"))
    assert endpoints(alice) == ["after"]


def test_each_device_has_its_own(alice: Person) -> None:
    tablet = alice.another_device()
    subscribe(alice, Browser("phone"))
    subscribe(tablet, Browser("tablet"))
    assert endpoints(alice) == endpoints(tablet) == ["tablet", "phone"]


def test_a_browser_at_which_bob_logs_in_is_no_more_that_of_alice(
    alice: Person, bob: Person
) -> None:
    browser = Browser("shared")
    first = subscribe(alice, browser)
    second = subscribe(bob, browser)
    assert (endpoints(alice), endpoints(bob)) == ([], ["shared"])
    assert subscribed_among([alice.user.pk, bob.user.pk]) == {bob.user.pk}
    # What waits for the browser of alice does not find that of bob.
    assert first.pk != second.pk


def test_a_session_that_ends_takes_its_subscription_along(alice: Person, bob: Person) -> None:
    tablet = alice.another_device()
    subscribe(alice, Browser("phone"))
    subscribe(tablet, Browser("tablet"))
    subscribe(bob, Browser("bob"))
    everybody = [alice.user.pk, bob.user.pk]
    tablet.post("/auth/logout")
    assert endpoints(alice) == ["phone"]
    alice.post("/auth/logout")
    set_status(bob.user, "suspended")
    assert subscribed_among(everybody) == set()
    Session.objects.update(created_at="2020-01-01T00:00Z", expires_at="2020-01-02T00:00Z")
    accounts_prune()
    assert not PushSubscription.objects.exists()


def test_a_browser_can_be_left_out_again(alice: Person, bob: Person) -> None:
    tablet = alice.another_device()
    subscribe(alice, Browser("phone"))
    subscribe(tablet, Browser("tablet"))
    subscribe(bob, Browser("bob"))
    for _ in range(2):
        response = alice.delete(ROUTE)
        assert (response.status_code, "data" in response.json()) == (200, False)
    assert (endpoints(alice), endpoints(bob)) == (["tablet"], ["bob"])


GIVEN = Browser("laptop").subscription
KEYS = GIVEN["keys"]


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"endpoint": "http://push.example.com/a"}, ["endpoint"]),
        ({"endpoint": "https://127.0.0.1/a"}, ["endpoint"]),
        ({"endpoint": "https://push.example.com:22/a"}, ["endpoint"]),
        ({"endpoint": "https://push.example.com/" + "a" * 2048}, ["endpoint"]),
        ({"endpoint": 1}, ["endpoint"]),
        ({"endpoint": None}, ["endpoint"]),
        ({"expirationTime": "soon"}, ["expirationTime"]),
        ({"keys": None}, ["keys"]),
        ({"keys": {}}, ["keys.p256dh", "keys.auth"]),
        ({"keys": {**KEYS, "auth": "AAAA"}}, ["keys.auth"]),
        ({"keys": {**KEYS, "p256dh": "A" * 87}}, ["keys.p256dh"]),
        ({"keys": {**KEYS, "p256dh": "A" * 101}}, ["keys.p256dh"]),
        (
            {"endpoint": "https://localhost", "keys": {"p256dh": "A", "auth": "A"}},
            ["endpoint", "keys.p256dh", "keys.auth"],
        ),
    ],
)
def test_what_no_browser_gives_is_refused_by_its_field(
    alice: Person, change: Any, fields: list[str]
) -> None:
    response = alice.post(ROUTE, {**GIVEN, **change})
    assert response.status_code == 422, response.content
    assert [one["field"] for one in response.json()["errors"]] == fields
    assert not PushSubscription.objects.exists()


@pytest.mark.parametrize(
    ("method", "path"),
    [("get", ROUTE), ("post", ROUTE), ("delete", ROUTE), ("get", "/notifications/push-key")],
)
def test_anonymous_users_subscribe_no_browser(
    anonymous: ContractClient, alice: Person, method: str, path: str
) -> None:
    subscribe(alice, Browser("laptop"))
    before = list(PushSubscription.objects.values())
    assert getattr(anonymous, method)(f"/api/v1{path}").status_code == 401
    assert list(PushSubscription.objects.values()) == before


def test_a_session_that_has_just_ended_gets_no_subscription(alice: Person) -> None:
    session = alice.user.sessions.get()
    Session.objects.update(ended_at=timezone.now())
    with pytest.raises(SessionOver):
        subscription_add(
            alice.user, session_id=session.pk, endpoint=GIVEN["endpoint"], keys=GIVEN["keys"]
        )
    assert not PushSubscription.objects.exists()


def test_subscriptions_beyond_the_limit_are_refused(alice: Person, settings: Settings) -> None:
    settings.ACTION_LIMITS = settings.ACTION_LIMITS.but(push_subscription=2)
    for name in ("first", "second"):
        subscribe(alice, Browser(name))
    assert alice.post(ROUTE, Browser("third").subscription).status_code == 429
    assert endpoints(alice) == ["second"]


@pytest.mark.django_db(transaction=True)
def test_of_devices_that_subscribe_one_browser_at_once_one_has_it(alice: Person) -> None:
    devices = [alice, *(alice.another_device() for _ in range(3))]
    sessions = list(alice.user.sessions.values_list("pk", flat=True))
    for round_ in range(5):
        browsers = [Browser(f"shared {round_}").subscription, Browser(f"of {round_}").subscription]
        calls = [
            partial(
                subscription_add,
                alice.user,
                session_id=session,
                endpoint=browser["endpoint"].replace(" ", "-"),
                keys=browser["keys"],
            )
            for session in sessions
            for browser in browsers
        ]
        results = together(*calls)
        assert [one for one in results if isinstance(one, Exception)] == []
        found = list(PushSubscription.objects.all())
        assert len({one.endpoint for one in found}) == len(found) <= len(devices)
