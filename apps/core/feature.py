"""The declaration of core."""

from apps.core.features import Feature
from apps.core.http.idempotency import idempotency_keys_prune
from apps.core.personal_data import PERSONAL_DATA

FEATURE = Feature(
    prunes={"idempotency keys": idempotency_keys_prune},
    personal_data=PERSONAL_DATA,
)
