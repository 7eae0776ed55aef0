"""The requests of the benchmarks of reads and writes: many of each kind, in random order."""

import base64
import random
from collections.abc import Sequence

import orjson

from bench.community import Writer, Written
from bench.load import UNIQUE, request
from bench.servers import Community, User

PER_PAGE = 20
LIST = f"/api/v1/posts?limit={PER_PAGE}"
# Pages at random, so that no two requests ask for the same page at the same moment.
FIRST_PAGES, DEEP_PAGES = range(1, 201), range(3_900, 4_101)
# How many users send requests with a token.
USERS = 200
# How many different texts there are. A number makes each one that is sent unique.
TEXTS = 1_000


class Workload:
    """Requests for the posts of a community."""

    def __init__(self, community: Community) -> None:
        self._draw = random.Random(7)
        self._writer = Writer()
        self._users = community.users
        # The users of the middle have written some posts each.
        middle = len(community.users) // 2
        self.signed_in: Sequence[User] = community.users[middle : middle + USERS]
        self._posts = [post for post in community.posts if post.status == "published"]
        self._hot = self._posts[len(self._posts) // 2]
        self._draw.shuffle(self._posts)

    def hot_post(self, readers: int = 0) -> list[bytes]:
        """Return requests for one post by so many users in turn, or by an anonymous user."""
        path = f"/api/v1/posts/{self._hot.id}"
        tokens = [user.token for user in self.signed_in[:readers]] or [""]
        return [request("GET", path, token=token) for token in tokens]

    def hot_list(self) -> list[bytes]:
        """Return the request for the first page."""
        return [request("GET", LIST)]

    def posts(self) -> list[bytes]:
        """Return a request for each post."""
        return [request("GET", f"/api/v1/posts/{post.id}") for post in self._posts]

    def slugs(self, slugs: Sequence[str]) -> list[bytes]:
        """Return a request for each of the slugs."""
        return [request("GET", f"/api/v1/posts/slug/{slug}") for slug in slugs]

    def by_cursor(self) -> list[bytes]:
        """Return a request for the posts after each post."""
        return [request("GET", f"{LIST}&cursor={_cursor_after(post)}") for post in self._posts]

    def pages(self, numbers: range) -> list[bytes]:
        """Return a request for each of the pages."""
        shuffled = self._draw.sample(numbers, len(numbers))
        return [request("GET", f"{LIST}&page={number}") for number in shuffled]

    def profiles(self) -> list[bytes]:
        """Return the request of each user for their own profile."""
        return [request("GET", "/api/v1/auth/profile", token=one.token) for one in self.signed_in]

    def unknown_route(self) -> list[bytes]:
        """Return a request that is answered with 404."""
        return [request("GET", "/api/v1/nowhere")]

    def creates(self, status: str) -> list[bytes]:
        """Return requests that create posts of this status."""
        return [
            _with_body(
                "POST",
                "/api/v1/posts",
                self._user(number),
                {
                    "title": f"{self._writer.title()[:200]} {UNIQUE.decode()}",
                    "content": self._writer.content(),
                    "status": status,
                    "tags": self._writer.tags(),
                },
            )
            for number in range(TEXTS)
        ]

    def changes(self) -> list[bytes]:
        """Return requests that change the text of a post, by its author."""
        return [
            _with_body(
                "PATCH",
                f"/api/v1/posts/{post.id}",
                self._users[post.author],
                {"content": f"{self._writer.content()} {UNIQUE.decode()}"},
            )
            for post in self._posts[:TEXTS]
        ]

    def messages(self) -> list[bytes]:
        """Return requests that send a message, by half of the users to the other half."""
        half = USERS // 2
        return [
            _with_body(
                "POST",
                "/api/v1/messages",
                sender,
                {
                    "receiverId": receiver.id,
                    "content": f"a message of forty characters or so, {UNIQUE.decode()}",
                },
            )
            for sender, receiver in zip(self.signed_in[:half], self.signed_in[half:], strict=True)
        ]

    def _user(self, number: int) -> User:
        return self.signed_in[number % len(self.signed_in)]


def _with_body(method: str, path: str, user: User, body: object) -> bytes:
    return request(method, path, token=user.token, body=orjson.dumps(body))


def _cursor_after(post: Written) -> str:
    """Return the cursor of a list that continues after the post, as both builds read it."""
    return base64.urlsafe_b64encode(orjson.dumps(["n", post.id])).decode().rstrip("=")
