"""What polls bring to the whole."""

from apps.core.features import Feature
from polls.services import polls_prune
from polls.views import PollViewSet

FEATURE = Feature(
    routes={"polls": PollViewSet},
    limits={"open_poll": 2},
    prunes={"closed polls": polls_prune},
)
