"""People for the experiments, with sessions: python -m testing.chaos.seed CASTS CROWD.

Prints them as JSON: casts of the same six names, and a crowd without names.
"""

import json
import sys

import django

NAMES = ("Ada", "Ben", "Cleo", "Dora", "Emil", "Finn")


def main(casts: int, crowd: int) -> None:
    """Make the people and print them."""
    django.setup()
    from apps.accounts.models import User
    from bench.seed import users

    made = users(casts * len(NAMES) + crowd)
    people = [made[n : n + len(NAMES)] for n in range(0, casts * len(NAMES), len(NAMES))]
    for cast in people:
        for name, person in zip(NAMES, cast, strict=True):
            User.objects.filter(pk=person["id"]).update(name=name)
    print(json.dumps({"casts": people, "crowd": made[casts * len(NAMES) :]}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
