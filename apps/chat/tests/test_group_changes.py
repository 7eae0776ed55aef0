"""Making a group, and who may change what of it."""

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
from apps.chat.tests.factories import everything, group_of, said, said_in, told_group, users
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
    """Fail unless the change is refused, and nothing is changed or told by it."""
    before = everything()
    with pytest.raises(refusal) as refused:
        change()
    assert everything() == before
    return refused.value


def test_who_makes_a_group_owns_it(alice: Person, bob: Person, carol: Person) -> None:
    twice = [bob.user.pk, carol.user.pk, bob.user.pk, alice.user.pk]
    group = group_create(alice.user, title="Crew", member_ids=twice)
    assert roles(group) == {
        alice.user.pk: "owner",
        bob.user.pk: "member",
        carol.user.pk: "member",
    }
    assert (group.title, group.kind, group.member_count) == ("Crew", "group", 3)
    [(kind, data)] = told_group(group)
    assert (kind, data["title"], data["ownerId"]) == ("group_created", "Crew", alice.id)
    assert data["memberIds"] == [bob.id, carol.id]


def test_who_joins_is_told_of_to_all_at_once(crew: Conversation, bob: Person, dora: User) -> None:
    earlier = len(told_group(crew))
    more = [one.pk for one in users(3)]
    joined = members_add(bob.user, conversation_id=crew.pk, user_ids=[dora.pk, *more, dora.pk])
    assert joined == [dora.pk, *more]
    [(kind, data)] = told_group(crew)[earlier:]
    assert (kind, data["userIds"]) == ("members_joined", [str(user) for user in joined])
    crew.refresh_from_db()
    assert crew.member_count == 7


def test_who_is_there_already_is_no_news(crew: Conversation, alice: Person, carol: Person) -> None:
    before = everything()
    user_ids = [carol.user.pk, alice.user.pk]
    assert members_add(alice.user, conversation_id=crew.pk, user_ids=user_ids) == []
    assert everything() == before


def test_a_member_leaves(crew: Conversation, carol: Person) -> None:
    member_remove(carol.user, conversation_id=crew.pk, user_id=carol.user.pk)
    assert carol.user.pk not in roles(crew)
    assert told_group(crew)[-1] == (
        "member_left",
        {"conversationId": str(crew.pk), "userId": carol.id, "by": carol.id},
    )


def test_an_admin_removes_a_member(crew: Conversation, bob: Person, carol: Person) -> None:
    member_remove(bob.user, conversation_id=crew.pk, user_id=carol.user.pk)
    assert carol.user.pk not in roles(crew)
    assert told_group(crew)[-1][1]["by"] == bob.id


def test_the_owner_gives_roles(crew: Conversation, alice: Person, carol: Person) -> None:
    member_set_role(alice.user, conversation_id=crew.pk, user_id=carol.user.pk, role="admin")
    assert roles(crew)[carol.user.pk] == "admin"
    assert told_group(crew)[-1][1]["roles"] == [{"userId": carol.id, "role": "admin"}]


def test_a_role_that_somebody_has_is_no_news(
    crew: Conversation, alice: Person, bob: Person
) -> None:
    before = everything()
    for user, role in ((alice, "owner"), (bob, "admin")):
        member_set_role(alice.user, conversation_id=crew.pk, user_id=user.user.pk, role=role)
    assert everything() == before


def test_the_owner_hands_the_group_over(
    crew: Conversation, alice: Person, bob: Person, carol: Person
) -> None:
    member_set_role(alice.user, conversation_id=crew.pk, user_id=carol.user.pk, role="owner")
    assert roles(crew) == {
        alice.user.pk: "admin",
        bob.user.pk: "admin",
        carol.user.pk: "owner",
    }
    told = told_group(crew)[-1][1]["roles"]
    assert told == [{"userId": carol.id, "role": "owner"}, {"userId": alice.id, "role": "admin"}]
    member_remove(alice.user, conversation_id=crew.pk, user_id=alice.user.pk)


def test_a_group_is_renamed_once(crew: Conversation, bob: Person) -> None:
    assert group_rename(bob.user, conversation_id=crew.pk, title="Watch").title == "Watch"
    assert told_group(crew)[-1][0] == "group_renamed"
    before = everything()
    group_rename(bob.user, conversation_id=crew.pk, title="Watch")
    assert everything() == before


def test_a_group_that_is_deleted_is_gone_for_all(
    crew: Conversation, alice: Person, carol: Person
) -> None:
    message = said_in(crew, carol.user)
    group_delete(alice.user, conversation_id=crew.pk)
    assert told_group(crew)[-1][0] == "group_deleted"
    assert roles(crew) == {}
    for user in (alice, carol):
        require_refused(ConversationNotFound, partial(said_in, crew, user.user))
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
def test_what_a_role_does_not_allow_is_refused(
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
    ("who", "whom"), [("carol", "bob"), ("carol", "alice"), ("bob", "alice"), ("bob", "admin")]
)
def test_nobody_removes_who_is_not_below_them(
    request: pytest.FixtureRequest,
    crew: Conversation,
    alice: Person,
    dora: User,
    who: str,
    whom: str,
) -> None:
    members_add(alice.user, conversation_id=crew.pk, user_ids=[dora.pk])
    member_set_role(alice.user, conversation_id=crew.pk, user_id=dora.pk, role="admin")
    actor = request.getfixturevalue(who).user
    other = dora if whom == "admin" else request.getfixturevalue(whom).user
    require_refused(
        NotYoursToRemove,
        lambda: member_remove(actor, conversation_id=crew.pk, user_id=other.pk),
    )


def test_to_others_there_is_no_group(crew: Conversation, dora: User, carol: Person) -> None:
    carols, group = carol.user.pk, crew.pk
    for change in (
        lambda: members_add(dora, conversation_id=group, user_ids=[dora.pk]),
        lambda: member_remove(dora, conversation_id=group, user_id=carols),
        lambda: member_set_role(dora, conversation_id=group, user_id=carols, role="admin"),
        lambda: group_rename(dora, conversation_id=group, title="Mutiny"),
        lambda: group_delete(dora, conversation_id=group),
        lambda: said_in(crew, dora),
    ):
        require_refused(ConversationNotFound, change)


def test_a_direct_conversation_is_no_group(alice: Person, bob: Person, dora: User) -> None:
    direct = said(alice, bob).conversation
    for change in (
        lambda: members_add(alice.user, conversation_id=direct.pk, user_ids=[dora.pk]),
        lambda: member_remove(alice.user, conversation_id=direct.pk, user_id=bob.user.pk),
        lambda: group_rename(alice.user, conversation_id=direct.pk, title="Us"),
        lambda: group_delete(alice.user, conversation_id=direct.pk),
        lambda: member_remove(alice.user, conversation_id=uuid7(), user_id=bob.user.pk),
    ):
        require_refused(ConversationNotFound, change)


def test_users_who_are_not_there_are_named(alice: Person, bob: Person, dora: User) -> None:
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


def test_a_group_has_500_members_at_the_most(alice: Person) -> None:
    crowd = users(500)
    ids = [one.pk for one in crowd]
    require_refused(GroupFull, lambda: group_create(alice.user, title="Crew", member_ids=ids))
    group = group_create(alice.user, title="Crew", member_ids=ids[:498])
    require_refused(
        GroupFull, lambda: members_add(alice.user, conversation_id=group.pk, user_ids=ids[-2:])
    )
    assert members_add(alice.user, conversation_id=group.pk, user_ids=ids[-1:]) == ids[-1:]


def test_nobody_is_in_more_groups_than_a_socket_can_be_told_of(
    alice: Person, dora: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "MOST_GROUPS", 2)
    last, *_ = [group_of(alice.user), group_of(dora), group_of(dora)]
    require_refused(
        TooManyGroups,
        lambda: members_add(alice.user, conversation_id=last.pk, user_ids=[dora.pk]),
    )
    require_refused(TooManyGroups, lambda: group_of(alice.user, dora))


def test_the_database_refuses_a_second_owner(
    crew: Conversation, alice: Person, bob: Person
) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Membership.objects.filter(user=bob.user).update(role="owner")
    assert roles(crew)[alice.user.pk] == "owner"
