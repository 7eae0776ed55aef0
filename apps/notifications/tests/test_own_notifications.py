"""Users read their own notifications, mark them, and choose what they are told."""

from typing import Any

import pytest

from apps.accounts.tests.people import Person
from apps.core.tests.together import together
from apps.notifications.models import Notification, Preferences
from apps.notifications.tests.test_notify import tell
from apps.realtime.models import LoggedEvent, Stream
from testing.client import ContractClient

pytestmark = pytest.mark.django_db

PREFERENCES = "/notifications/preferences"
DEFAULTS = {
    "emailEnabled": True,
    "pushEnabled": True,
    "websocketEnabled": True,
    "digest": "off",
    "quietHours": None,
}
CATEGORIES = {"posts", "messages", "comments", "likes", "follows", "mentions", "jobs", "moderation"}


def errors_of(response: Any) -> list[str]:
    assert response.status_code == 422, response.content
    return [one["field"] for one in response.json()["errors"]]


def test_the_list_has_the_newest_first_and_says_where_its_events_go_on(
    alice: Person, bob: Person
) -> None:
    for number in range(3):
        tell([alice], key=str(number), title=f"News {number}", actor=bob.user)
    tell([bob])
    found = alice.get("/notifications", {"limit": 2, "cursor": ""}).json()
    assert [one["title"] for one in found["data"]] == ["News 2", "News 1"]
    assert found["meta"]["streams"] == {f"user.{alice.id}": 3}
    cursor = found["pagination"]["nextCursor"]
    found = alice.get("/notifications", {"limit": 2, "cursor": cursor}).json()
    assert [one["title"] for one in found["data"]] == ["News 0"]


def test_only_unread_ones_are_listed_and_counted_on_request(alice: Person) -> None:
    first, second = (tell([alice], key=key)[0] for key in ("one", "two"))
    answer = alice.post("/notifications/read", {"ids": [str(first.pk)]})
    assert answer.json()["data"] == {"updated": 1, "remaining": False}
    listed = alice.get("/notifications", {"unread": "true"}).json()["data"]
    assert [one["id"] for one in listed] == [str(second.pk)]
    assert len(alice.get("/notifications").json()["data"]) == 2
    unread = alice.get("/notifications/unread").json()
    assert unread["data"] == {"total": 1}
    assert unread["meta"]["streams"] == {
        f"user.{alice.id}": Stream.objects.get(name=f"user.{alice.id}").head
    }


def test_what_is_pending_of_a_read_notification_is_cancelled(verified: Person) -> None:
    [told] = tell([verified])
    verified.post("/notifications/read", {"all": True})
    shown = verified.get(f"/notifications/{told.pk}/deliveries").json()["data"]
    assert [(one["channel"], one["decision"], one["reason"]) for one in shown] == [
        ("websocket", "sent", "sent"),
        ("email", "cancelled", "read"),
        ("push", "skipped", "no_subscription"),
    ]


def test_what_is_read_again_changes_nothing(alice: Person) -> None:
    tell([alice])
    alice.post("/notifications/read", {"all": True})
    before = list(Notification.objects.values()), LoggedEvent.objects.count()
    answer = alice.post("/notifications/read", {"all": True})
    assert answer.json()["data"] == {"updated": 0, "remaining": False}
    assert (list(Notification.objects.values()), LoggedEvent.objects.count()) == before


def test_nobody_reads_or_marks_those_of_others(alice: Person, bob: Person) -> None:
    [told] = tell([alice])
    before = list(Notification.objects.values()), LoggedEvent.objects.count()
    answer = bob.post("/notifications/read", {"ids": [str(told.pk)]})
    assert answer.json()["data"] == {"updated": 0, "remaining": False}
    response = bob.get(f"/notifications/{told.pk}/deliveries")
    assert response.status_code == 404
    assert response.json()["message"] == "Notification not found"
    assert bob.get("/notifications").json()["data"] == []
    assert bob.get("/notifications/unread").json()["data"] == {"total": 0}
    assert (list(Notification.objects.values()), LoggedEvent.objects.count()) == before


@pytest.mark.parametrize(
    "body", [{}, {"all": False}, {"ids": []}, {"ids": ["x"]}, {"ids": ["0"] * 501}]
)
def test_a_wrong_selection_marks_nothing(alice: Person, body: Any) -> None:
    tell([alice])
    assert "ids" in errors_of(alice.post("/notifications/read", body))[0]
    assert not Notification.objects.exclude(read_at=None).exists()


def test_ids_and_all_together_mark_nothing(alice: Person) -> None:
    [told] = tell([alice])
    both = {"ids": [str(told.pk)], "all": True}
    assert errors_of(alice.post("/notifications/read", both)) == ["ids"]
    assert not Notification.objects.exclude(read_at=None).exists()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/notifications"),
        ("get", "/notifications/unread"),
        ("get", PREFERENCES),
        ("put", PREFERENCES),
        ("post", "/notifications/read"),
        ("get", "/notifications/01930e1c-7f6a-7b3e-9c1d-000000000001/deliveries"),
    ],
)
def test_anonymous_users_have_no_notifications(
    anonymous: ContractClient, method: str, path: str
) -> None:
    response = getattr(anonymous, method)(f"/api/v1{path}")
    assert response.status_code == 401
    assert not Preferences.objects.exists()


def test_a_user_who_has_chosen_nothing_has_the_defaults(alice: Person) -> None:
    shown = alice.get(PREFERENCES).json()["data"]
    assert shown["categories"] == shown["emailCategories"] == dict.fromkeys(CATEGORIES, True)
    assert {name: shown[name] for name in DEFAULTS} == DEFAULTS
    assert not Preferences.objects.exists()


def test_a_change_leaves_the_rest(alice: Person) -> None:
    quiet = {"from": "22:00", "to": "07:00", "timezone": "Europe/Berlin"}
    alice.put(PREFERENCES, {"quietHours": quiet, "categories": {"likes": False}})
    alice.put(PREFERENCES, {"digest": "daily", "emailCategories": {"posts": False}})
    shown = alice.put(PREFERENCES, {"categories": {"jobs": False}}).json()["data"]
    assert shown == alice.get(PREFERENCES).json()["data"]
    assert (shown["quietHours"], shown["digest"]) == (quiet, "daily")
    assert {name for name, on in shown["categories"].items() if not on} == {"likes", "jobs"}
    assert {name for name, on in shown["emailCategories"].items() if not on} == {"posts"}
    shown = alice.put(PREFERENCES, {"categories": {"likes": True}, "quietHours": None})
    assert shown.json()["data"]["quietHours"] is None
    assert shown.json()["data"]["categories"]["likes"] is True


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"digest": "weekly"}, "digest"),
        ({"emailEnabled": "perhaps"}, "emailEnabled"),
        ({"categories": {"weather": True}}, "categories.weather"),
        ({"emailCategories": {"weather": False}}, "emailCategories.weather"),
        ({"categories": {"posts": 3}}, "categories.posts"),
        ({"quietHours": {"from": "22:00", "to": "07:00"}}, "quietHours.timezone"),
        (
            {"quietHours": {"from": "22:00", "to": "07:00", "timezone": "Mars"}},
            "quietHours.timezone",
        ),
        ({"quietHours": {"from": "24:00", "to": "07:00", "timezone": "UTC"}}, "quietHours.from"),
        ({"quietHours": {"from": "22:00", "to": "7", "timezone": "UTC"}}, "quietHours.to"),
        ({"websocketEnabled": 0}, "websocketEnabled"),
        ({"categories": {"posts": "no"}}, "categories.posts"),
        # Digits that are none to a clock: telling this user anything would fail.
        ({"quietHours": {"from": "1٣:00", "to": "07:00", "timezone": "UTC"}}, "quietHours.from"),
    ],
)
def test_wrong_preferences_are_refused_by_their_field(alice: Person, body: Any, field: str) -> None:
    assert field in errors_of(alice.put(PREFERENCES, body))
    assert not Preferences.objects.exists()


def test_nothing_to_change_is_refused(alice: Person) -> None:
    response = alice.put(PREFERENCES, {})
    assert response.status_code == 400
    assert response.json()["message"] == "Send at least one preference to change"
    assert not Preferences.objects.exists()


def test_a_stale_change_is_refused(alice: Person) -> None:
    etag = alice.get(PREFERENCES)["ETag"]
    assert alice.get(PREFERENCES, **{"If-None-Match": etag}).status_code == 304
    assert alice.put(PREFERENCES, {"digest": "daily"}, **{"If-Match": etag}).status_code == 200
    before = Preferences.objects.values().get()
    response = alice.put(PREFERENCES, {"digest": "off"}, **{"If-Match": etag})
    assert response.status_code == 412
    assert Preferences.objects.values().get() == before


@pytest.mark.django_db(transaction=True)
def test_of_two_changes_at_once_both_hold(alice: Person) -> None:
    outcomes = together(
        lambda: alice.put(PREFERENCES, {"categories": {"likes": False}}).status_code,
        lambda: alice.put(PREFERENCES, {"categories": {"jobs": False}}).status_code,
    )
    assert outcomes == [200, 200]
    shown = alice.get(PREFERENCES).json()["data"]["categories"]
    assert {name for name, on in shown.items() if not on} == {"likes", "jobs"}
    assert Preferences.objects.get().version == 2


@pytest.mark.django_db(transaction=True)
def test_of_two_changes_of_the_same_state_at_once_one_is_refused(alice: Person) -> None:
    etag = alice.get(PREFERENCES)["ETag"]

    def change(body: Any) -> Any:
        return lambda: alice.put(PREFERENCES, body, **{"If-Match": etag}).status_code

    outcomes = together(change({"digest": "daily"}), change({"pushEnabled": False}))
    assert sorted(map(int, outcomes)) == [200, 412]  # type: ignore[arg-type]
    found = Preferences.objects.get()
    assert found.version == 1
    assert (found.digest == "daily", found.push_enabled is False).count(True) == 1
