"""Users are told something once, whatever happens, and nobody else is."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from apps.accounts.tests.people import Person, set_status
from apps.core.tests.together import together
from apps.notifications.models import CountedKey, Delivery, Notification
from apps.notifications.pruning import notifications_prune
from apps.notifications.services import Group, notify
from apps.realtime.models import LoggedEvent
from testing.server import ServerProcess
from testing.socket import TestSocket

pytestmark = pytest.mark.django_db

LIKES = Group("likes of one post", lambda count: f"{count} people liked your post")


def tell(people: Sequence[Person], **given: Any) -> list[Notification]:
    told = {"category": "posts", "type": "test", "title": "Ahoy", "key": "ahoy", **given}
    with transaction.atomic():
        return notify([one.user.pk for one in people], **told)


def frames(person: Person) -> list[Any]:
    """Return the data of the events `notification` of a user."""
    events = LoggedEvent.objects.filter(stream=f"user.{person.id}", type="notification")
    return [one.data["notification"] for one in events.order_by("seq")]


def why(person: Person) -> dict[str, tuple[str, str]]:
    """Return decision and reason of the user's only notification by channel."""
    found = Delivery.objects.filter(notification__recipient=person.user)
    return {one.channel: (one.decision, one.reason) for one in found}


def test_each_recipient_is_told_and_receives_a_frame(alice: Person, bob: Person) -> None:
    told = tell([alice, bob], body="The boat is in.", url="/posts/boat", data={"boat": 1})
    assert {one.recipient_id for one in told} == {alice.user.pk, bob.user.pk}
    [listed] = alice.get("/notifications").json()["data"]
    assert frames(alice) == [listed]
    assert (listed["title"], listed["body"], listed["count"]) == ("Ahoy", "The boat is in.", 1)
    assert (listed["actor"], listed["readAt"], listed["data"]) == (None, None, {"boat": 1})
    assert len(frames(bob)) == 1


def test_a_key_is_told_once(alice: Person, bob: Person) -> None:
    tell([alice])
    assert [one.recipient_id for one in tell([alice, bob])] == [bob.user.pk]
    assert len(frames(alice)) == len(frames(bob)) == 1
    assert Delivery.objects.count() == 6


def test_nobody_is_told_of_a_change_that_is_undone(alice: Person) -> None:
    with transaction.atomic():
        tell([alice])
        transaction.set_rollback(True)
    assert not Notification.objects.exists()
    assert frames(alice) == []


def test_users_are_not_told_what_they_do_themselves(alice: Person, bob: Person) -> None:
    tell([alice, bob], actor=alice.user)
    [told] = Notification.objects.all()
    assert (told.recipient, told.actor) == (bob.user, alice.user)
    assert frames(bob)[0]["actor"]["name"] == "Alice"


@pytest.mark.parametrize("actor_blocks", [True, False])
def test_a_block_keeps_users_from_being_told(
    alice: Person, bob: Person, carol: Person, actor_blocks: bool
) -> None:
    blocker, blocked = (alice, bob) if actor_blocks else (bob, alice)
    blocker.post(f"/users/{blocked.id}/block")
    told = tell([bob, carol], actor=alice.user)
    assert [one.recipient_id for one in told] == [carol.user.pk]
    assert frames(bob) == []


def test_a_suspended_user_is_not_told(alice: Person, bob: Person) -> None:
    set_status(bob.user, "suspended")
    assert [one.recipient_id for one in tell([alice, bob])] == [alice.user.pk]


def test_an_unknown_category_is_an_error(alice: Person) -> None:
    with pytest.raises(LookupError, match="'weather'"):
        tell([alice], category="weather")
    assert not Notification.objects.exists()


def test_without_preferences_the_defaults_hold(alice: Person) -> None:
    """A user who has never chosen anything is told all the same."""
    tell([alice])
    assert why(alice)["websocket"] == ("sent", "sent")
    assert why(alice)["push"] == ("skipped", "no_subscription")


def test_a_channel_and_a_category_that_are_off_skip(alice: Person, bob: Person) -> None:
    """It is stored all the same."""
    alice.put("/notifications/preferences", {"websocketEnabled": False})
    bob.put("/notifications/preferences", {"categories": {"posts": False}})
    tell([alice, bob])
    assert why(alice)["websocket"] == ("skipped", "channel_off")
    assert set(why(bob).values()) == {("skipped", "category_off")}
    assert frames(alice) == frames(bob) == []
    assert len(alice.get("/notifications").json()["data"]) == 1


def test_things_of_a_group_are_one_notification_while_it_is_unread(
    alice: Person, bob: Person, carol: Person
) -> None:
    for number, actor in enumerate((bob, carol)):
        tell([alice], actor=actor.user, key=f"like {number}", group=LIKES)
    [one] = alice.get("/notifications").json()["data"]
    assert (one["count"], one["title"]) == (2, "2 people liked your post")
    assert one["actor"]["name"] == "Carol"
    assert [frame["count"] for frame in frames(alice)] == [1, 2]
    assert {frame["id"] for frame in frames(alice)} == {one["id"]}
    assert Delivery.objects.count() == 3


def test_a_key_of_a_group_counts_once(alice: Person) -> None:
    for key in ("like 1", "like 2", "like 1", "like 2"):
        tell([alice], key=key, group=LIKES)
    assert Notification.objects.get().count == 2
    assert len(frames(alice)) == 2


def test_a_group_that_was_read_begins_again(alice: Person) -> None:
    tell([alice], key="like 1", group=LIKES)
    alice.post("/notifications/read", {"all": True})
    tell([alice], key="like 2", group=LIKES)
    assert [one["count"] for one in alice.get("/notifications").json()["data"]] == [1, 1]


@pytest.mark.django_db(transaction=True)
def test_things_of_a_group_that_come_at_once_are_all_counted(alice: Person) -> None:
    def like(number: int) -> Any:
        return lambda: tell([alice], key=f"like {number}", group=LIKES)

    outcomes = together(*map(like, range(4)))
    assert not [one for one in outcomes if isinstance(one, Exception)], outcomes
    assert Notification.objects.get().count == 4


@pytest.mark.django_db(transaction=True)
def test_the_same_key_at_once_is_told_once(alice: Person) -> None:
    outcomes = together(*[lambda: tell([alice])] * 4)
    assert not [one for one in outcomes if isinstance(one, Exception)], outcomes
    assert Notification.objects.count() == len(frames(alice)) == 1


def test_old_notifications_are_pruned(alice: Person) -> None:
    tell([alice], key="like 1", group=LIKES)
    tell([alice])
    long_ago = timezone.now() - timedelta(days=91)
    Notification.objects.filter(key="like 1").update(created_at=long_ago)
    CountedKey.objects.update(created_at=long_ago)
    assert notifications_prune() == 1
    assert Notification.objects.get().key == "ahoy"
    assert not CountedKey.objects.exists()


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_devices_of_a_user_receive_what_is_told_and_what_is_read(
    server: ServerProcess, alice: Person
) -> None:
    with (
        TestSocket(server.url, token=alice.access) as phone,
        TestSocket(server.url, token=alice.another_device().access) as tablet,
    ):
        for socket in (phone, tablet):
            socket.expect("connected")
        [told] = tell([alice])
        for socket in (phone, tablet):
            assert socket.expect("notification")["data"]["notification"]["id"] == str(told.pk)
        alice.post("/notifications/read", {"ids": [str(told.pk)]})
        for socket in (phone, tablet):
            read = socket.expect("notifications_read")["data"]
            assert read["notificationIds"] == [str(told.pk)]
