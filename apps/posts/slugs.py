"""Slugs: readable, never empty, and never reused for another post."""

import re
import secrets
import unicodedata
from collections.abc import Sequence

from django.utils import timezone

from apps.core.db.sql import insert
from apps.posts.models import Post, PostSlug

LONGEST = 255
TRIES = 5
_SUFFIX_BYTES = 4


def slug_of(title: str) -> str:
    """Return the title in lower-case ASCII letters, digits and single dashes, or "post" if it has
    none of them. The slug leaves room for a suffix."""
    ascii_only = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    words = re.sub(r"[^a-z0-9]+", "-", ascii_only.lower()).strip("-")
    return words[: LONGEST - 1 - 2 * _SUFFIX_BYTES].strip("-") or "post"


def claim_slugs(posts: Sequence[Post]) -> None:
    """Give each new post a slug: that of its title, with a suffix if it is taken.

    The insert itself decides, so that concurrent posts cannot get the same slug. All slugs are
    inserted in one statement and in their order, so that two transactions never wait for each
    other; those that turn out to be taken are tried again with a suffix, which nobody waits for.
    """
    now = timezone.now()
    without = list(posts)
    for number in range(1 + TRIES):
        candidates: dict[str, Post] = {}
        for post in without:
            slug = slug_of(post.title)
            # Of several posts with one title, one may get the slug without a suffix.
            candidates[_with_suffix(slug) if number or slug in candidates else slug] = post
        rows = [(slug, candidates[slug].pk, now) for slug in sorted(candidates)]
        then = "ON CONFLICT (slug) DO NOTHING RETURNING slug"
        for [slug] in insert(PostSlug, ("slug", "post", "created_at"), rows, then):
            candidates.pop(slug).slug = slug
        without = list(candidates.values())
        if not without:
            return
    raise RuntimeError(f"No free slug in {TRIES} tries of 32 random bits each.")


def claim_other_slug(post: Post) -> None:
    """Give a post that was renamed the slug of its title. If it had that slug before, with or
    without a suffix, it gets it back."""
    with_or_without = rf"^{slug_of(post.title)}(-[0-9a-f]{{{2 * _SUFFIX_BYTES}}})?$"
    own = PostSlug.objects.filter(post=post, slug__regex=with_or_without).order_by("slug").first()
    if own is None:
        claim_slugs([post])
    else:
        post.slug = own.slug


def _with_suffix(slug: str) -> str:
    return f"{slug}-{secrets.token_hex(_SUFFIX_BYTES)}"
