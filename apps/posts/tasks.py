"""What jobs do for posts."""

import time
from uuid import UUID

from apps.accounts.models import Follow
from apps.accounts.serializers import UserOutput
from apps.jobs.steps import current_job
from apps.jobs.tasks import URGENT, job
from apps.notifications.services import notify
from apps.notifications.withdrawing import notifications_withdraw
from apps.posts.models import Post

# So many followers are told in one transaction: few, since what others send waits meanwhile.
TOLD_AT_ONCE = 100


@job(atomic=False, time_limit=4 * 3600)
def tell_followers(post_id: str) -> None:
    """Tell those who followed the author when a post was published first. It goes on where it was
    when the worker ended, and stops when the post is not public any more."""
    running = current_job()
    while post := _public(post_id):
        began = time.monotonic()
        found = Follow.objects.filter(
            followed=post.author_id, created_at__lte=post.published_at, follower__status="active"
        )
        if running.checkpoint is not None:
            found = found.filter(pk__gt=UUID(running.checkpoint))
        part = list(found.order_by("pk").values_list("pk", "follower")[:TOLD_AT_ONCE])
        if not part:
            return
        with running.step(str(part[-1][0]), progress=0):
            # Who hides the post meanwhile waits for the lock, and then withdraws this part as well.
            if post := _public(post_id, locked=True):
                _tell(post, [follower for _, follower in part])
        # Most of the time belongs to those who send something meanwhile.
        time.sleep(2 * (time.monotonic() - began))


@job(priority=URGENT, atomic=False, time_limit=1800)
def withdraw_from_followers(post_id: str) -> None:
    """Take back what followers were told of a post that is not public any more, with its title. It
    stops when the post is public again: followers are told once, so the others keep theirs."""
    running = current_job()
    while not _public(post_id):
        with running.step(None, progress=0):
            if not notifications_withdraw(_key(post_id)):
                return


def _public(post_id: str, *, locked: bool = False) -> Post | None:
    posts = Post.objects.select_related("author").filter(pk=post_id, deleted_at=None)
    if locked:
        posts = posts.select_for_update(of=("self",))
    return posts.filter(status=Post.Status.PUBLISHED).first()


def _key(post_id: UUID | str) -> str:
    return f"new_post:{post_id}"


def _tell(post: Post, followers: list[UUID]) -> None:
    message = f"New post published: {post.title}"
    notify(
        followers,
        "posts",
        type="new_post",
        title=message,
        url=f"/posts/{post.slug}",
        actor=post.author,
        data={
            "type": "new_post",
            "postId": str(post.pk),
            "title": post.title,
            "author": UserOutput.dump(post.author),
            "message": message,
        },
        key=_key(post.pk),
    )
