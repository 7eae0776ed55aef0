"""What polls refuse."""

from apps.core.errors import Forbidden, NotFound


class PollNotFound(NotFound):
    message = "Poll not found"


class NoVoteOfYourOwn(Forbidden):
    message = "You cannot vote in your own poll"
