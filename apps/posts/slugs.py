"""Slugs: readable, never empty, and never reused for another post."""

import re
import secrets
import unicodedata

from django.db import IntegrityError, transaction

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


def claim_slug(post: Post) -> str:
    """Claim a slug for the post and return it: that of its title, with a suffix if it is taken.

    The insert itself decides, so that concurrent posts cannot get the same slug. A post that had
    the slug before gets it back.
    """
    base = slug_of(post.title)
    with_or_without = rf"^{base}(-[0-9a-f]{{{2 * _SUFFIX_BYTES}}})?$"
    own = PostSlug.objects.filter(post=post, slug__regex=with_or_without).order_by("slug").first()
    if own is not None:
        return own.slug
    for candidate in (base, *(f"{base}-{secrets.token_hex(_SUFFIX_BYTES)}" for _ in range(TRIES))):
        try:
            with transaction.atomic():
                PostSlug.objects.create(slug=candidate, post=post)
        except IntegrityError:
            continue
        return candidate
    raise RuntimeError(f"No free slug for {base!r} in {TRIES} tries of 32 random bits each.")
