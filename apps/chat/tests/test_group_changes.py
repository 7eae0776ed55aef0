"""Creating a group, and who may change what of it."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.db import IntegrityError, transaction

from apps.accounts.models import User
from apps.accounts.tests.people import Person, set_status
from apps.chat import groups
from apps.chat.errors import (
    ConversationNotFound,
    GroupFull,
    MemberNotFound,
    NotGroupOwner,
    NotYourGroupToManage,
    NotYoursToRemove,
    OwnerMustStay,
    TooManyGroups,
    UnknownUsers,
)
from apps.chat.groups import (
    group_create,
    group_delete,
    group_rename,
    member_remove,
    member_set_role,
    members_add,
)
from apps.chat.models import Conversation, Membership
from apps.chat.tests.factories import (
    everything,
    group_events,
    group_of,
    new_group_message,
    new_message,
    users,
)
from apps.core.errors import DomainError
from apps.core.ids import uuid7

pytestmark = pytest.mark.django_db


@pytest.fixture
def crew(alice: Person, bob: Person, carol: Person) -> Conversation:
    """A group that Alice owns, of which Bob is an admin and Carol a member."""
    group = group_of(alice.user, bob.user, carol.user)
    member_set_role(alice.user, conversation_id=group.pk, user_id=bob.user.pk, role="admin")
    return group


@pytest.fixture
def dora(db: Any) -> User:
    """A user who is in no group."""
    return users(1)[0]


def roles(group: Conversation) -> dict[UUID, str]:
    """Return the role of each member."""
    return dict(group.memberships.values_list("user", "role"))


def require_refused(refusal: type[DomainError], change: Callable[[], object]) -> DomainError:
    """Fail unless the change is refused, and changes and publishes nothing."""
    before = everything()
    with pytest.raises(refusal) as refused:
        change()
    assert everything() == before
    return refused.value


def test_creator_owns_the_group(alice: Person, bob: Person, carol: Person) -> None:
    twice = [bob.user.pk, carol.user.pk, bob.user.pk, alice.user.pk]
    group = group_create(alice.user, title="Crew", member_ids=twice)
    assert roles(group) == {
        alice.user.pk: "owner",
        bob.user.pk: "member",
        carol.user.pk: "member",
    }
    assert (group.title, group.kind, group.member_count) == ("Crew", "group", 3)
    [(kind, data)] = group_events(group)
    assert (kind, data["title"], data["ownerId"]) == ("group_created", "Crew", alice.id)
    assert data["memberIds"] == [bob.id, carol.id]


def test_members_who_join_together_are_one_event(
    crew: Conversation, bob: Person, dora: User
) -> None:
    earlier = len(group_events(crew))
    more = [one.pk for one in users(3)]
    joined = members_add(bob.user, conversation_id=crew.pk, user_ids=[dora.pk, *more, dora.pk])
    assert joined == [dora.pk, *more]
    [(kind, data)] = group_events(crew)[earlier:]
    assert (kind, data["userIds"]) == ("members_joined", [str(user) for user in joined])
    crew.refresh_from_db()
    assert crew.member_count == 7


def test_adding_present_members_changes_nothing(
    crew: Conversation, alice: Person, carol: Person
) -> None:
    before = everything()
    user_ids = [carol.user.pk, alice.user.pk]
    assert members_add(alice.user, conversation_id=crew.pk, user_ids=user_ids) == []
    assert everything() == before


def test_member_leaves(crew: Conversation, carol: Person) -> None:
    member_remove(carol.user, conversation_id=crew.pk, user_id=carol.user.pk)
    assert carol.user.pk not in roles(crew)
    assert group_events(crew)[-1] == (
        "member_left",
        {"conversationId": str(crew.pk), "userId": carol.id, "by": carol.id},
    )


def test_admin_removes_a_member(crew: Conversation, bob: Person, carol: Person) -> None:
    member_remove(bob.user, conversation_id=crew.pk, user_id=carol.user.pk)
    assert carol.user.pk not in roles(crew)
    assert group_events(crew)[-1][1]["by"] == bob.id


def test_owner_changes_roles(crew: Conversation, alice: Person, carol: Person) -> None:
    member_set_role(alice.user, conversation_id=crew.pk, user_id=carol.user.pk, role="admin")
    assert roles(crew)[carol.user.pk] == "admin"
    assert group_events(crew)[-1][1]["roles"] == [{"userId": carol.id, "role": "admin"}]


def test_setting_the_present_role_changes_nothing(
    crew: Conversation, alice: Person, bob: Person
) -> None:
    before = everything()
    for user, role in ((alice, "owner"), (bob, "admin")):
        member_set_role(alice.user, conversation_id=crew.pk, user_id=user.user.pk, role=role)
    assert everything() == before


def test_owner_makes_another_member_the_owner(
    crew: Conversation, alice: Person, bob: Person, carol: Person
) -> None:
    member_set_role(alice.user, conversation_id=crew.pk, user_id=carol.user.pk, role="owner")
    assert roles(crew) == {
        alice.user.pk: "admin",
        bob.user.pk: "admin",
        carol.user.pk: "owner",
    }
    changed = group_events(crew)[-1][1]["roles"]
    assert changed == [{"userId": carol.id, "role": "owner"}, {"userId": alice.id, "role": "admin"}]
    member_remove(alice.user, conversation_id=crew.pk, user_id=alice.user.pk)


def test_renaming_to_the_present_title_changes_nothing(crew: Conversation, bob: Person) -> None:
    assert group_rename(bob.user, conversation_id=crew.pk, title="Watch").title == "Watch"
    assert group_events(crew)[-1][0] == "group_renamed"
    before = everything()
    group_rename(bob.user, conversation_id=crew.pk, title="Watch")
    assert everything() == before


def test_deleted_group_is_gone_for_all_members(
    crew: Conversation, alice: Person, carol: Person
) -> None:
    message = new_group_message(crew, carol.user)
    group_delete(alice.user, conversation_id=crew.pk)
    assert group_events(crew)[-1][0] == "group_deleted"
    assert roles(crew) == {}
    for user in (alice, carol):
        require_refused(ConversationNotFound, partial(new_group_message, crew, user.user))
        assert user.delete(f"/messages/{message.pk}").status_code == 404


REFUSALS: list[tuple[type[DomainError], str, Callable[[User, UUID, User], object]]] = [
    (
        NotYourGroupToManage,
        "carol",
        lambda actor, group, dora: members_add(actor, conversation_id=group, user_ids=[dora.pk]),
    ),
    (
        NotYourGroupToManage,
        "carol",
        lambda actor, group, _: group_rename(actor, conversation_id=group, title="Mutiny"),
    ),
    (
        NotGroupOwner,
        "bob",
        lambda actor, group, _: group_delete(actor, conversation_id=group),
    ),
    (
        NotGroupOwner,
        "bob",
        lambda actor, group, _: member_set_role(
            actor, conversation_id=group, user_id=actor.pk, role="owner"
        ),
    ),
    (
        OwnerMustStay,
        "alice",
        lambda actor, group, _: member_remove(actor, conversation_id=group, user_id=actor.pk),
    ),
    (
        OwnerMustStay,
        "alice",
        lambda actor, group, _: member_set_role(
            actor, conversation_id=group, user_id=actor.pk, role="member"
        ),
    ),
    (
        MemberNotFound,
        "alice",
        lambda actor, group, dora: member_remove(actor, conversation_id=group, user_id=dora.pk),
    ),
    (
        MemberNotFound,
        "alice",
        lambda actor, group, dora: member_set_role(
            actor, conversation_id=group, user_id=dora.pk, role="owner"
        ),
    ),
]


@pytest.mark.parametrize(("refusal", "who", "change"), REFUSALS)
def test_action_above_ones_role_is_refused(
    request: pytest.FixtureRequest,
    crew: Conversation,
    dora: User,
    refusal: type[DomainError],
    who: str,
    change: Callable[[User, UUID, User], object],
) -> None:
    actor = request.getfixturevalue(who).user
    require_refused(refusal, lambda: change(actor, crew.pk, dora))


@pytest.mark.parametrize(
    ("who", "other"), [("carol", "bob"), ("carol", "alice"), ("bob", "alice"), ("bob", "admin")]
)
def test_member_cannot_remove_a_member_of_the_same_or_a_higher_role(
    request: pytest.FixtureRequest,
    crew: Conversation,
    alice: Person,
    dora: User,
    who: str,
    other: str,
) -> None:
    members_add(alice.user, conversation_id=crew.pk, user_ids=[dora.pk])
    member_set_role(alice.user, conversation_id=crew.pk, user_id=dora.pk, role="admin")
    actor = request.getfixturevalue(who).user
    member = dora if other == "admin" else request.getfixturevalue(other).user
    require_refused(
        NotYoursToRemove,
        lambda: member_remove(actor, conversation_id=crew.pk, user_id=member.pk),
    )


def test_group_is_not_found_by_other_users(crew: Conversation, dora: User, carol: Person) -> None:
    carols, group = carol.user.pk, crew.pk
    for change in (
        lambda: members_add(dora, conversation_id=group, user_ids=[dora.pk]),
        lambda: member_remove(dora, conversation_id=group, user_id=carols),
        lambda: member_set_role(dora, conversation_id=group, user_id=carols, role="admin"),
        lambda: group_rename(dora, conversation_id=group, title="Mutiny"),
        lambda: group_delete(dora, conversation_id=group),
        lambda: new_group_message(crew, dora),
    ):
        require_refused(ConversationNotFound, change)


def test_direct_conversation_cannot_be_changed_like_a_group(
    alice: Person, bob: Person, dora: User
) -> None:
    direct = new_message(alice, bob).conversation
    for change in (
        lambda: members_add(alice.user, conversation_id=direct.pk, user_ids=[dora.pk]),
        lambda: member_remove(alice.user, conversation_id=direct.pk, user_id=bob.user.pk),
        lambda: group_rename(alice.user, conversation_id=direct.pk, title="Us"),
        lambda: group_delete(alice.user, conversation_id=direct.pk),
        lambda: member_remove(alice.user, conversation_id=uuid7(), user_id=bob.user.pk),
    ):
        require_refused(ConversationNotFound, change)


def test_unknown_and_inactive_users_are_named(alice: Person, bob: Person, dora: User) -> None:
    set_status(bob.user, User.Status.BANNED)
    asked = [dora.pk, uuid7(), bob.user.pk]
    refused = require_refused(
        UnknownUsers, lambda: group_create(alice.user, title="Crew", member_ids=asked)
    )
    assert [error.field for error in refused.errors] == ["memberIds.1", "memberIds.2"]
    group = group_of(alice.user)
    refused = require_refused(
        UnknownUsers, lambda: members_add(alice.user, conversation_id=group.pk, user_ids=asked)
    )
    assert [error.field for error in refused.errors] == ["userIds.1", "userIds.2"]


def test_suspended_member_does_not_keep_others_out(alice: Person, bob: Person, dora: User) -> None:
    group = group_of(alice.user, bob.user)
    set_status(bob.user, User.Status.SUSPENDED)
    ids = [bob.user.pk, dora.pk]
    assert members_add(alice.user, conversation_id=group.pk, user_ids=ids) == [dora.pk]


def test_group_has_at_most_500_members(alice: Person) -> None:
    crowd = users(500)
    ids = [one.pk for one in crowd]
    require_refused(GroupFull, lambda: group_create(alice.user, title="Crew", member_ids=ids))
    group = group_create(alice.user, title="Crew", member_ids=ids[:498])
    require_refused(
        GroupFull, lambda: members_add(alice.user, conversation_id=group.pk, user_ids=ids[-2:])
    )
    assert members_add(alice.user, conversation_id=group.pk, user_ids=ids[-1:]) == ids[-1:]


def test_user_cannot_exceed_the_limit_of_groups(
    alice: Person, dora: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "MOST_GROUPS", 2)
    last, *_ = [group_of(alice.user), group_of(dora), group_of(dora)]
    require_refused(
        TooManyGroups,
        lambda: members_add(alice.user, conversation_id=last.pk, user_ids=[dora.pk]),
    )
    require_refused(TooManyGroups, lambda: group_of(alice.user, dora))


def test_database_refuses_a_second_owner(crew: Conversation, alice: Person, bob: Person) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Membership.objects.filter(user=bob.user).update(role="owner")
    assert roles(crew)[alice.user.pk] == "owner"
