"""Each close code, each type of frame, and each answer to a client that resumes has a test in which
a client receives it from a real server."""

import ast
from collections.abc import Callable
from functools import cache

import pytest
from django.conf import settings
from django.db import transaction

from apps.accounts.events import alert_failed_logins
from apps.accounts.tests.people import Person
from apps.jobs.attempts import attempt
from apps.jobs.leases import jobs_take
from apps.jobs.tasks import QUEUES
from apps.jobs.tests import tasks
from apps.realtime import closing
from apps.realtime.server_frames import server_frames
from testing.server import ServerProcess
from testing.socket import TestSocket

HERE = "config/tests/test_frames_received.py"
FRAMES = "apps/realtime/tests/test_socket_frames.py"
OPENING = "apps/realtime/tests/test_socket_opening.py"
RESUMING = "apps/realtime/tests/test_resuming.py"
PRESENCE = "apps/realtime/tests/test_presence_announcements.py"
ROOMS = "apps/rooms/tests/test_rooms_over_websocket.py"
CHAT = "apps/chat/tests/test_live_chat.py"
GROUPS = "apps/chat/tests/test_group_sockets.py"

TOLD = (
    "apps/notifications/tests/test_notify.py"
    "::test_devices_of_a_user_receive_what_is_told_and_what_is_read"
)
PEERS = f"{PRESENCE}::test_only_peers_are_notified_of_the_first_device_and_of_the_last"
LIVE = f"{CHAT}::test_message_reaches_the_receiver_and_its_receipts_reach_the_sender"
JOINING = f"{ROOMS}::test_those_inside_are_told_once_a_person_who_joins_and_leaves"
CHANGES = f"{GROUPS}::test_member_receives_every_change_of_a_group"
OWN = f"{HERE}::test_user_receives_what_happens_to_their_jobs_and_logins"

CODES = {
    1009: f"{FRAMES}::test_a_frame_of_more_than_64_kib_closes_the_socket",
    1012: "apps/realtime/tests/test_server_stopping.py"
    "::test_a_server_that_stops_tells_its_sockets_to_come_back",
    4400: f"{FRAMES}::test_a_malformed_frame_is_answered_and_the_third_closes_the_socket",
    4401: f"{OPENING}::test_a_server_that_can_send_no_response_closes_with_4401",
    4408: "apps/realtime/tests/test_losing_nothing.py"
    "::test_a_reader_that_was_too_slow_is_told_so_when_it_reads",
    4429: f"{FRAMES}::test_more_than_60_frames_at_once_close_the_socket",
    4501: "apps/realtime/tests/test_sessions_ending.py"
    "::test_a_logout_closes_only_the_sockets_of_its_session",
    4502: f"{OPENING}::test_the_eleventh_socket_of_a_user_is_closed",
}
TYPES = {
    "ack": f"{CHAT}::test_deleted_user_gets_the_error_that_their_session_is_over",
    "chat_delete": CHANGES,
    "chat_message": LIVE,
    "chat_message_sent": LIVE,
    "connected": f"{OPENING}::test_a_header_a_token_and_a_ticket_open_a_socket",
    "delivery_receipt": LIVE,
    "error": f"{FRAMES}::test_an_unknown_command_is_an_error_that_names_its_request",
    "group_created": CHANGES,
    "group_deleted": CHANGES,
    "group_delivered": CHANGES,
    "group_read": CHANGES,
    "group_renamed": CHANGES,
    "heartbeat": "apps/realtime/tests/test_sessions_ending.py"
    "::test_a_process_without_the_sweep_does_not_close_them",
    "left_room": f"{ROOMS}::test_those_leave_from_whom_a_post_is_hidden",
    "member_left": CHANGES,
    "members_joined": CHANGES,
    "notification": TOLD,
    "notifications_read": TOLD,
    "pong": f"{FRAMES}::test_a_ping_is_answered_with_the_heads",
    "post_published": f"{RESUMING}"
    "::test_the_feed_delivers_published_posts_until_a_client_unsubscribes",
    "presence": f"{PRESENCE}::test_a_user_sees_the_presence_of_peers_only",
    "read_receipt": LIVE,
    "reset": f"{RESUMING}::test_a_number_before_the_log_is_answered_with_reset",
    "roles_changed": CHANGES,
    "security_alert": OWN,
    "subscribed": f"{RESUMING}::test_missed_events_follow_the_answer_in_order",
    "task_completed": OWN,
    "task_failed": OWN,
    "typing": "apps/chat/tests/test_typing.py"
    "::test_receiver_sees_the_typing_until_the_socket_closes",
    "unsubscribed": f"{GROUPS}::test_deleted_group_is_unsubscribed_on_every_socket",
    "user_activity": "apps/realtime/tests/test_activity.py"
    "::test_peers_see_that_a_user_is_away_and_others_do_not",
    "user_joined_room": JOINING,
    "user_left_room": JOINING,
    "user_offline": PEERS,
    "user_online": PEERS,
}
# How `subscribe` with `after` is answered, with words of the test.
ANSWERS = {
    "up to date": (f"{RESUMING}::test_a_client_that_missed_nothing_receives_nothing", "== []"),
    "replayed": (f"{RESUMING}::test_missed_events_follow_the_answer_in_order", "range(4, 1201)"),
    "reset, too old": (f"{RESUMING}::test_a_number_before_the_log_is_answered_with_reset", "reset"),
    "reset, of another epoch": (
        f"{RESUMING}::test_a_number_of_another_epoch_is_answered_with_reset",
        "'epoch': 'another'",
    ),
    "reset, beyond the head": (
        f"{RESUMING}::test_a_number_of_another_epoch_is_answered_with_reset",
        "'after': 7",
    ),
    "NOT_FOUND": (
        f"{RESUMING}::test_streams_of_other_users_and_unknown_streams_are_not_found",
        "'NOT_FOUND'",
    ),
}
NEEDED = [
    *((test, str(code)) for code, test in CODES.items()),
    *((test, f"'{kind}'") for kind, test in TYPES.items()),
    *ANSWERS.values(),
]
# The fixtures that start a real server.
SERVERS = {"server", "start_server", "start_once"}


def test_every_close_code_and_type_is_in_a_table() -> None:
    assert set(CODES) == set(closing.CODES)
    declared = {kind for kind, frame in server_frames.items() if ".tests." not in frame.__module__}
    assert set(TYPES) == declared


@pytest.mark.parametrize(("test", "words"), NEEDED)
def test_the_named_test_receives_it_from_a_real_server(test: str, words: str) -> None:
    assert lacks(test, words) == []


def test_a_test_that_does_not_receive_it_is_noticed() -> None:
    assert lacks(f"{FRAMES}::test_by_another_name", "4400") == ["there is no such test"]
    assert lacks(f"{HERE}::{test_a_test_that_does_not_receive_it_is_noticed.__name__}", "9999") == [
        "it starts no server",
        "it is not marked as integration",
    ]
    assert lacks(CODES[1012], "4400") == ["it does not mention 4400"]
    skipped = "test_new_member_is_subscribed_on_their_open_sockets"
    assert "it is skipped in some runs" in lacks(f"{GROUPS}::{skipped}", "subscribed")


def lacks(test: str, words: str) -> list[str]:
    """Return what a test lacks to show that a client receives something from a real server."""
    path, _, name = test.partition("::")
    marks, tests = functions_of(path)
    if name not in tests:
        return ["there is no such test"]
    found = tests[name]
    parts = parts_of(found, path)
    given = {argument.arg for part in parts for argument in part.args.args}
    decorated = " ".join(map(ast.unparse, found.decorator_list))
    reasons = {
        "it starts no server": SERVERS.isdisjoint(given),
        "it is not marked as integration": "mark.integration" not in marks + decorated,
        "it is skipped in some runs": any(word in decorated for word in ("skip", "with_")),
        f"it does not mention {words}": all(words not in ast.unparse(part) for part in parts),
    }
    return [reason for reason, applies in reasons.items() if applies]


@cache
def functions_of(path: str) -> tuple[str, dict[str, ast.FunctionDef]]:
    """Return the marks of a whole file, as it writes them, and its functions by their names."""
    tree = ast.parse((settings.BASE_DIR / path).read_text())
    assignments = [ast.unparse(node) for node in tree.body if isinstance(node, ast.Assign)]
    marks = " ".join(one for one in assignments if one.startswith("pytestmark"))
    return marks, {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


def parts_of(function: ast.FunctionDef, path: str) -> list[ast.FunctionDef]:
    """Return a test, with the fixtures and the functions of its file that it uses."""
    own, parts = functions_of(path)[1], [function]
    for part in parts:
        used = {node.id for node in ast.walk(part) if isinstance(node, ast.Name)}
        used |= {argument.arg for argument in part.args.args}
        parts += [one for name, one in own.items() if name in used and one not in parts]
    return parts


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_user_receives_what_happens_to_their_jobs_and_logins(
    start_server: Callable[..., ServerProcess], alice: Person
) -> None:
    server = start_server(PARLEY_TAMPER="hurried")
    with TestSocket(server.url, token=alice.access) as alice_socket:
        alice_socket.expect("connected")
        with transaction.atomic():
            tasks.write_post.with_options(owner_id=alice.user.pk).enqueue(alice.id, "Ahoy")
            tasks.refuse.with_options(owner_id=alice.user.pk).enqueue()
            # Before the server, which does not have these tasks, can take them.
            taken = jobs_take("worker", QUEUES, 2)
        for job in taken:
            attempt(job)
        done = alice_socket.expect("task_completed")["data"]["job"]
        assert (done["type"], done["status"]) == ("write_post", "completed")
        failed = alice_socket.expect("task_failed")["data"]["job"]
        assert (failed["type"], failed["status"]) == ("refuse", "failed")
        with transaction.atomic():
            alert_failed_logins(alice.user.pk)
        assert alice_socket.expect("security_alert")["data"]["reason"] == "failed_logins"
