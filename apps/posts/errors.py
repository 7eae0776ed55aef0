"""The refusals of posts."""

from apps.core.errors import BadRequest, Conflict, Forbidden, NotFound


class PostNotFound(NotFound):
    message = "Post not found"


class NotYourPostToUpdate(Forbidden):
    message = "You can only update your own posts"


class NotYourPostToDelete(Forbidden):
    message = "You can only delete your own posts"


class NotYourPostToPublish(Forbidden):
    message = "You can only publish your own posts"


class AlreadyPublished(BadRequest):
    message = "Post is already published"


class PublishedCannotBecomeDraft(BadRequest):
    message = "A post that was published cannot become a draft again; archive it instead"


class NothingToChange(BadRequest):
    message = "Send at least one of title, content, status and tags"


class PostChanged(Conflict):
    message = "Post was modified by another user. Please refresh and try again."
