"""Realistic posts in bulk: 6,000 authors, and texts of some hundred to some thousand characters."""

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

AUTHORS = 6_000
YEAR = timedelta(days=365)
# The logarithmic mean and deviation of a post's length, in characters, and its bounds.
LENGTH_MEAN, LENGTH_DEVIATION = math.log(1_200), 0.7
SHORTEST, LONGEST = 300, 8_000
PUBLISHED, DRAFTS = 0.9, 0.06
VOCABULARY = (
    "a about after again all also an and another any are as at back be because been before "
    "between both bread build but by can change city come could day different do each early end "
    "even every evening far few find first follow for forest friend from garden get give good "
    "great hand harbour have help here high hold home house how idea if important in island it "
    "its journey keep kind know large last late learn leave letter life light line little long "
    "look made make many market may mean mind moment more morning most mountain much must name "
    "near never new next night no north not nothing now number of old on once one only open or "
    "other our out over own part people place plan point question quiet rain reach read reason "
    "right river road room same sea see seem several should show side simple since small so "
    "some something song south start still stone story street such summer take tell than that "
    "the their them then there these they thing think this those thought through time to today "
    "together too town tree true try turn under until up us use very walk want water way we "
    "week well were what when where which while who why will wind winter with without word work "
    "world would write year yet you young"
)
WORDS = VOCABULARY.split()
TAGS = [f"{kind}-{topic}" for kind in ("travel", "food", "code", "music") for topic in WORDS[40:60]]


@dataclass(frozen=True)
class Written:
    """A post that was made, as clients see it."""

    id: str
    slug: str
    # The place of its author among the authors.
    author: int
    status: str


class Writer:
    """Makes texts. The same seed makes the same."""

    def __init__(self, seed: int = 7) -> None:
        self.random = random.Random(seed)
        self._sentences = [self._sentence() for _ in range(1_000)]

    def title(self) -> str:
        """Return a title of a few words."""
        return " ".join(self.random.choices(WORDS, k=self.random.randint(3, 9))).capitalize()

    def content(self) -> str:
        """Return a text, most often of about 1,200 characters."""
        drawn = self.random.lognormvariate(LENGTH_MEAN, LENGTH_DEVIATION)
        length = min(max(int(drawn), SHORTEST), LONGEST)
        sentences: list[str] = []
        while length >= 0:
            sentences.append(self._sentences[int(self.random.random() * len(self._sentences))])
            length -= len(sentences[-1]) + 1
        return " ".join(sentences)

    def tags(self) -> list[str]:
        """Return up to five tags."""
        return self.random.sample(TAGS, self.random.randint(0, 5))

    def _sentence(self) -> str:
        words = self.random.choices(WORDS, k=self.random.randint(6, 18))
        return " ".join(words).capitalize() + "."


def fill(authors: Sequence[str], count: int) -> list[Written]:
    """Store so many posts of these authors over a year, with their slugs, and return them."""
    from django.db import connection

    from apps.posts.models import Post, PostSlug

    written: list[Written] = []

    def posts() -> Iterator[Post]:
        for post, author in posts_of(authors, count):
            written.append(Written(str(post.pk), post.slug, author, post.status))
            yield post

    _copy(Post, posts())
    _copy(PostSlug, (PostSlug(slug=one.slug, post_id=UUID(one.id)) for one in written))
    with connection.cursor() as cursor:
        # It also marks the pages of which an index alone can answer.
        cursor.execute("VACUUM ANALYZE")
    return written


def posts_of(authors: Sequence[str], count: int) -> Iterator[tuple[Any, int]]:
    """Yield so many posts, which are not stored, each with the place of its author."""
    from apps.posts.models import Post
    from apps.posts.slugs import slug_of

    writer = Writer()
    draw = writer.random.random
    began = datetime.now(UTC) - YEAR
    for number in range(count):
        at = began + YEAR * number / count
        # Some write much more than others.
        author = int(len(authors) * draw() ** 2)
        share = draw()
        status = "archived"
        if share < PUBLISHED + DRAFTS:
            status = "published" if share < PUBLISHED else "draft"
        title = writer.title()
        yield (
            Post(
                id=_id_at(at, writer.random),
                author_id=UUID(authors[author]),
                title=title,
                content=writer.content(),
                slug=f"{slug_of(title)}-{number:08x}",
                status=status,
                tags=writer.tags(),
                view_count=int(writer.random.paretovariate(1)),
                published_at=None if status == "draft" else at,
                created_at=at,
                updated_at=at,
            ),
            author,
        )


def _id_at(at: datetime, numbers: random.Random) -> UUID:
    """Return a UUID of version 7 of that time (RFC 9562, 5.7)."""
    milliseconds = int(at.timestamp() * 1000)
    value = milliseconds << 80 | 0x7 << 76 | numbers.getrandbits(12) << 64
    return UUID(int=value | 0b10 << 62 | numbers.getrandbits(62))


def _copy(model: Any, things: Iterable[Any]) -> None:
    """Insert rows with COPY, which takes a tenth of the time of bulk_create()."""
    from django.db import connection

    fields = model._meta.concrete_fields
    columns = ", ".join(field.column for field in fields)
    names = [field.attname for field in fields]
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {model._meta.db_table} ({columns}) FROM STDIN") as copy,
    ):
        for thing in things:
            values = (getattr(thing, name) for name in names)
            copy.write_row([Jsonb(one) if isinstance(one, list) else one for one in values])
