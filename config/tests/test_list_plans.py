"""How PostgreSQL finds the rows of every list, among many others."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from apps.accounts.models import User
from apps.accounts.tests.people import Person
from apps.core.http.pagination import forget_lists
from apps.notifications.models import Notification
from apps.posts.models import Post
from config.tests.test_admin import pages_of
from testing.client import ContractClient
from testing.server import until

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="It reads PostgreSQL's plans."),
]

# As many rows a statement may read in vain, or sort. The tables have far more.
SOME = 1_000

# 100,000 posts of 10,000 users. The newest posts are drafts and the newest users banned, so that
# a scan from the newest row on finds nothing for a long time. Alice and Bob have thousands of each
# thing, of which others have many more.
ROWS = """
CREATE FUNCTION pg_temp.id(number integer) RETURNS uuid IMMUTABLE LANGUAGE sql
RETURN ('01000000-0000-7000-8000-' || lpad(number::text, 12, '0'))::uuid;

INSERT INTO accounts_user (id, name, email, email_verified, role, status, bio, avatar_url, version,
    password, created_at, updated_at)
SELECT pg_temp.id(n), 'User ' || n, 'user' || n || '@example.com', true, 'user',
    CASE WHEN n <= 6000 THEN 'active' ELSE 'banned' END, '', '', 1, 'x', now(), now()
FROM generate_series(1, 10000) n;

INSERT INTO accounts_session (id, user_id, refresh_jti, address, user_agent, created_at,
    refreshed_at, last_used_at, expires_at)
SELECT gen_random_uuid(), pg_temp.id(n), 'x', '', '', now(), now(), now(), now() + interval '1 day'
FROM generate_series(1, 5000) n;

INSERT INTO accounts_follow (id, follower_id, followed_id, created_at)
SELECT gen_random_uuid(), one, other, now() FROM (
    SELECT pg_temp.id(n) one, pg_temp.id(n %% 6000 + m) other
    FROM generate_series(1, 6000) n, generate_series(1, 5) m WHERE n <> n %% 6000 + m
    UNION SELECT %(alice)s, pg_temp.id(n) FROM generate_series(1, 1100) n
    UNION SELECT pg_temp.id(n), %(bob)s FROM generate_series(1, 1100) n
    UNION SELECT %(bob)s, pg_temp.id(n) FROM generate_series(1, 1100) n
) pair;

INSERT INTO accounts_block (id, blocker_id, blocked_id, created_at)
SELECT gen_random_uuid(), one, other, now() FROM (
    SELECT pg_temp.id(n) one, pg_temp.id(n %% 6000 + m) other
    FROM generate_series(1, 6000) n, generate_series(1, 5) m WHERE n <> n %% 6000 + m
    UNION SELECT %(alice)s, pg_temp.id(n) FROM generate_series(3001, 4100) n
) pair;

INSERT INTO posts_post (id, author_id, title, content, slug, status, tags, view_count, like_count,
    comment_count, version, published_at, created_at, updated_at)
SELECT pg_temp.id(n),
    CASE n %% 5 WHEN 0 THEN %(alice)s WHEN 1 THEN %(bob)s ELSE pg_temp.id(1 + n %% 6000) END,
    'Harbour lights', 'The lighthouse keeper counts the boats.', 'post-' || n,
    CASE WHEN n > 85000 THEN 'draft' WHEN n %% 10000 < 10 THEN 'archived' ELSE 'published' END,
    '[]', 0, 0, 0, 1, now(), now(), now()
FROM generate_series(1, 100000) n;

INSERT INTO chat_conversation (id, kind, title, first_id, second_id, last_seq, last_message_at,
    member_count)
SELECT gen_random_uuid(), 'direct', '', least(one, other), greatest(one, other), 1,
    now() - random() * interval '100 days', 2
FROM (
    SELECT pg_temp.id(n) one, pg_temp.id(n + m) other
    FROM generate_series(1, 6000) n, generate_series(1, 5) m
    UNION SELECT pg_temp.id(n), %(alice)s FROM generate_series(1, 1500) n
    UNION SELECT %(alice)s, %(bob)s
) pair;

INSERT INTO chat_membership (id, conversation_id, user_id, role, joined_seq, joined_event, read_seq,
    delivered_seq, incoming_seq, last_message_at)
SELECT gen_random_uuid(), id, unnest(ARRAY[first_id, second_id]), 'member', 0, 0, 0, 0, 1,
    last_message_at
FROM chat_conversation;

INSERT INTO chat_message (id, conversation_id, seq, sender_id, content, type, created_at)
SELECT gen_random_uuid(), one.id, n, one.first_id, 'Ahoy', 'text', now()
FROM chat_conversation one,
    generate_series(1, CASE WHEN %(bob)s IN (one.first_id, one.second_id) THEN 1500 ELSE 1 END) n;
"""
# What Alice, Bob and all others are told, half of it read.
TOLD = """
INSERT INTO notifications_notification (id, recipient_id, category, type, title, body, url, count,
    data, key, group_key, read_at, created_at)
SELECT pg_temp.id(n), CASE n %% 5 WHEN 0 THEN %(alice)s WHEN 1 THEN %(bob)s
    ELSE pg_temp.id(1 + n %% 6000) END, 'posts', 'new_post', 'Harbour lights', '', '', 1, '{}',
    'post ' || n, '', CASE WHEN n > 50000 THEN now() END, now()
FROM generate_series(1, 100000) n;

INSERT INTO notifications_delivery (notification_id, channel, decision, reason, at)
SELECT id, unnest(ARRAY['websocket', 'email', 'push']), 'sent', 'sent', now()
FROM notifications_notification;
"""
# What only the pages of moderators show: 20,000 deleted posts, 2,000 users of each other role, and
# an entry of the log for each deletion.
MODERATED = """
UPDATE posts_post SET deleted_at = created_at WHERE id <= pg_temp.id(20000);
UPDATE accounts_user SET role = CASE WHEN id <= pg_temp.id(2000) THEN 'moderator' ELSE 'admin' END
WHERE id <= pg_temp.id(4000);
INSERT INTO django_admin_log (action_time, user_id, content_type_id, object_id, object_repr,
    action_flag, change_message)
SELECT now(), %(moderator)s, (SELECT id FROM django_content_type WHERE model = 'post'),
    pg_temp.id(n), 'Harbour lights', 2, 'status: published → deleted'
FROM generate_series(1, 100000) n;
"""
TABLES = (
    "accounts_user, accounts_session, accounts_follow, accounts_block, posts_post, "
    "chat_conversation, chat_membership, chat_message, notifications_notification, "
    "notifications_delivery"
)


@pytest.fixture
def many_rows(alice: Person, bob: Person, settings: Any) -> Iterator[None]:
    settings.CACHE_SECONDS = 600
    forget_lists()
    with connection.cursor() as cursor:
        # What earlier tests have rolled back leaves room between the rows. New ones that filled it
        # would be in no order, and then PostgreSQL may find a sort cheaper than an index.
        cursor.execute(f"VACUUM (FULL) {TABLES}")
        cursor.execute(ROWS + TOLD, {"alice": alice.user.pk, "bob": bob.user.pk})
        # An index alone serves a list once no older transaction, as of the server of an earlier
        # test, may have to see what was in the table before.
        until(lambda: not older_transactions(cursor), seconds=60)
        cursor.execute(f"VACUUM (ANALYZE) {TABLES}")
        # As on disks that have no arm to move. With the default of 4 a sort of a thousand rows and
        # an index cost about the same, and the sample of ANALYZE decides.
        cursor.execute("SET random_page_cost = 1.1")
    yield
    forget_lists()
    with connection.cursor() as cursor:
        for name in ("enable_seqscan", "enable_hashjoin", "random_page_cost"):
            cursor.execute(f"RESET {name}")


def older_transactions(cursor: Any) -> Any:
    """Return what else is going on in this database."""
    cursor.execute(
        "SELECT query FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)"
    )
    return cursor.fetchall()


def test_every_list_finds_its_rows_by_an_index_and_in_order(
    many_rows: None, alice: Person, bob: Person, moderator: Person, anonymous: ContractClient
) -> None:
    users = {"anonymous": anonymous, "alice": alice.client, "moderator": moderator.client}
    wrong = []
    for who, client in users.items():
        for path in paths(alice, bob, signed_in=client is not anonymous):
            for page in ("", "page=2", "page=60&limit=20", "cursor=", "cursor"):
                found = problems(client, path, page)
                wrong += [f"{who} {path}{page}: {problem}" for problem in found]
    wrong += admin_problems(moderator, bob)
    assert not wrong, "\n".join(wrong)


def admin_problems(moderator: Person, bob: Person) -> Iterator[str]:
    """Yield what is wrong with the plans of the lists of the admin."""
    with connection.cursor() as cursor:
        cursor.execute(MODERATED, {"moderator": moderator.user.pk})
        cursor.execute(f"VACUUM (ANALYZE) {TABLES}, django_admin_log")
        # To show a page's users, reading all of these few may cost less than finding each by its
        # key. Without that choice the plan shows whether an index serves the page.
        cursor.execute("SET enable_hashjoin = off")
    browser = pages_of(moderator)
    for path in admin_paths(bob):
        yield from (f"{path}: {problem}" for problem in problems(browser, path, ""))


def admin_paths(bob: Person) -> Iterator[str]:
    """Yield every list of the admin with its filters, and the page of a user. A search is not among
    them, for the reason above."""
    yield f"/admin/accounts/user/{bob.id}/change/"
    for query in (f"user={bob.id}", "", "p=9"):
        yield f"/admin/accounts/session/?{query}"
    yield from (f"/admin/accounts/user/?role__exact={role}" for role in User.Role)
    yield from (f"/admin/accounts/user/?status__exact={status}" for status in User.Status)
    for query in ("", f"author={bob.id}&"):
        yield from (f"/admin/posts/post/?{query}status__exact={status}" for status in Post.Status)
    told = Notification.objects.filter(recipient=bob.user).latest("pk")
    yield f"/admin/notifications/notification/{told.pk}/change/"
    for query in ("", f"recipient={bob.id}&"):
        yield from (f"/admin/notifications/notification/?{query}{one}" for one in ("", "p=30"))
    for page in ("", "p=30"):
        yield f"/admin/accounts/user/?{page}"
        yield f"/admin/admin/logentry/?{page}"
        yield f"/admin/posts/post/?{page}"
        yield f"/admin/posts/post/?author={bob.id}&{page}"
        yield f"/admin/posts/post/?deleted=yes&{page}"


def paths(alice: Person, bob: Person, *, signed_in: bool) -> Iterator[str]:
    """Yield every list with each combination of its filters. A search is not among them: it reads
    all names, and has a limit for that reason (docs/decisions/0030-lists.md)."""
    yield "/api/v1/users?"
    for author in ("", f"authorId={alice.id}&", f"authorId={bob.id}&"):
        for status in ("", "status=draft&", "status=published&", "status=archived&"):
            yield f"/api/v1/posts?{author}{status}"
    if signed_in:
        yield "/api/v1/auth/sessions?"
        yield "/api/v1/users/blocked?"
        for user in (alice, bob):
            yield f"/api/v1/users/{user.id}/followers?"
            yield f"/api/v1/users/{user.id}/following?"
        yield "/api/v1/messages/conversations?"
        yield f"/api/v1/messages?userId={bob.id}&"
        yield "/api/v1/notifications?"
        yield "/api/v1/notifications?unread=true&"


def problems(client: Any, path: str, page: str) -> Iterator[str]:
    """Yield what is wrong with the plans of the statements that a page of a list runs."""
    if page == "cursor":
        page = f"cursor={client.get(f'{path}limit=1').json()['pagination']['nextCursor'] or ''}"
    captured: list[tuple[str, Any]] = []

    def capture(execute: Any, statement: str, values: Any, *more: Any) -> Any:
        captured.append((statement, values))
        return execute(statement, values, *more)

    with connection.execute_wrapper(capture):
        assert client.get(f"{path}{page}").status_code == 200
    for statement, values in captured:
        if statement.startswith("SELECT"):
            # A count of more than half of a table may scan it, while another transaction keeps the
            # index from knowing which rows are visible to all. Without that choice the plan shows
            # whether an index serves the count.
            may_scan = "off" if statement.startswith("SELECT COUNT") else "on"
            with connection.cursor() as cursor:
                cursor.execute(f"SET enable_seqscan = {may_scan}")
                cursor.execute(f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {statement}", values)
                [[[explained]]] = cursor.fetchall()
            for problem in found_in(explained["Plan"]):
                yield f"{problem}\n    {statement}"


def found_in(node: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a plan: a scan of a whole table, a sort of more than some rows, or
    that more than some rows are read in vain."""
    parts = node.get("Plans", [])
    in_vain = (node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
    read = node["Actual Rows"] * node["Actual Loops"] + in_vain
    if node["Node Type"] == "Seq Scan" and read > SOME:
        yield f"reads all of {node['Relation Name']}"
    elif in_vain > SOME and node["Node Type"] != "Subquery Scan":
        yield f"reads {in_vain:.0f} rows of {node.get('Index Name')} in vain"
    if "Sort" in node["Node Type"] and parts[0]["Actual Rows"] > SOME:
        yield f"sorts {parts[0]['Actual Rows']} rows"
    for part in parts:
        yield from found_in(part)
