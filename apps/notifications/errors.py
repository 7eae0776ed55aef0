"""The refusals of notifications."""

from apps.core.errors import BadRequest, NotFound


class NotificationNotFound(NotFound):
    message = "Notification not found"


class NothingToChange(BadRequest):
    message = "Send at least one preference to change"


class InvalidUnsubscribeLink(BadRequest):
    message = "The link is not valid. Open it from the mail once more"
