"""The indexes of all tables."""

import pytest
from django.apps import apps
from django.db import connection
from django.db.models import Model

OURS = [model for model in apps.get_models() if model.__module__.startswith("apps.")]


@pytest.mark.django_db
@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_no_table_has_two_equal_indexes(model: type[Model]) -> None:
    """A second index on the same columns only slows writes down."""
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, model._meta.db_table)
    # PostgreSQL has a second, different index for patterns on a unique text column.
    indexes = [
        (tuple(one["columns"]), tuple(one.get("orders") or ()), one["type"])
        for name, one in found.items()
        if one["index"] and not one["check"] and not name.endswith("_like")
    ]
    assert len(indexes) == len(set(indexes)), indexes
