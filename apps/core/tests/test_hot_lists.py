"""The query of a list means on the event loop what it means in the view."""

import pytest
from django.http import QueryDict
from rest_framework.exceptions import ValidationError

from apps.core.http.hot_lists import read_query
from apps.posts.serializers import PostQuery

AUTHOR = "0190a5c4-0000-7000-8000-000000000000"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "page=1",
        "page=2&limit=20",
        "limit=20&page=2",
        f"status=draft&cursor=WyJuIl0&authorId={AUTHOR}&limit=5",
        "cursor=",
        "cursor",
        "&&page=3&",
        "page=1&page=2",
        "page=%31",
        "page=2&page=%31",
        "page=%31&page=2",
        "page=x&page=2",
        "page=2&page=x",
        "p%61ge=3&page=2",
        "cursor=%00&cursor=WyJuIl0",
        "cursor=a+b",
        "cursor=a%20",
        "cursor= a",
        f"cursor={'a' * 500}",
        f"cursor={'a' * 501}",
        "page=0",
        "page=-1",
        "page=01",
        "page=999999999",
        "page=1000000000",
        "page=1000000001",
        "page=1&cursor=",
        "page=٣",
        "limit=0&page=2",
        "status=nothing&cursor=WyJuIl0",
        "page[]=2",
    ],
)
def test_a_query_is_read_as_the_view_reads_it(query: str) -> None:
    try:
        expected = PostQuery.load(QueryDict(query).dict())
    except ValidationError:
        expected = None
    # What is remembered of the first time changes nothing.
    assert read_query(PostQuery, query) == read_query(PostQuery, query) == expected
