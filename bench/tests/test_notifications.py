"""Direct messages count while followers are told, and lost ones count most."""

from bench.messages import Offer
from bench.notifications import PATIENCE, deliveries


def test_messages_until_all_are_told_count_and_a_lost_one_took_longest() -> None:
    offer = Offer(began=0, sent={0: 1.0, 1: 2.0, 2: 3.0}, delivered={0: 1.5, 2: 3.5})
    assert deliveries([offer], until=3.0) == [500, PATIENCE * 1000]
