"""The declaration of core."""

from apps.core.features import Feature
from apps.core.http.idempotency import idempotency_keys_prune

FEATURE = Feature(prunes={"idempotency keys": idempotency_keys_prune})
