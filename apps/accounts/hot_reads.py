"""Reads of accounts that are answered from kept bytes: active users, whom everyone sees alike."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from apps.accounts import selectors
from apps.accounts.models import USERS_TAG, User, user_tag
from apps.accounts.serializers import UserQuery
from apps.accounts.shapes import user_shape
from apps.core.http.envelope import dumps
from apps.core.http.hot_lists import PAGES_AT_ONCE, page_shown, pages_shown, read_query
from apps.core.http.hot_reads import HotRead, Shown
from apps.core.http.pagination import Listing, Paging, paging_of
from apps.core.http.prepared_lists import PreparedList

PER_PAGE = 10


def listing(users: QuerySet[User]) -> Listing[Any]:
    """Return the list of the users."""
    return Listing(users, columns=selectors.user_columns)


def _load_by_id(ids: Sequence[UUID]) -> Mapping[UUID, Shown]:
    return {
        user.id: Shown(dumps(user_shape(user)), (user_tag(user.id),), str(user.version))
        for user in selectors.users_shown(ids)
    }


def _list_asked_for(path: Mapping[str, str], query: str) -> Paging | None:
    """Return the page of the list of all users. A search has a limit, which the view counts."""
    given = read_query(UserQuery, query)
    return None if given is None or given.get("search") else paging_of(given, PER_PAGE)


_USERS = PreparedList(lambda: listing(selectors.users_visible()))


def _load_lists(pages: Sequence[Paging]) -> Mapping[Paging, Shown]:
    return pages_shown(
        pages, lambda paging: page_shown(_USERS.page(paging), user_shape, _list_tags)
    )


def _list_tags(users: Sequence[Any]) -> Iterator[str]:
    yield USERS_TAG
    for user in users:
        yield user_tag(user.id)


USER_BY_ID = HotRead[UUID](key=lambda path, query: UUID(path["pk"]), load=_load_by_id)
USER_LIST = HotRead[Paging](key=_list_asked_for, load=_load_lists, most=PAGES_AT_ONCE)
