"""All experiments by their names."""

from collections.abc import Awaitable, Callable, Mapping

from testing.chaos.experiments import clients, network, postgres, redis, web
from testing.chaos.experiments.notifications import notifications
from testing.chaos.experiments.schedule import periodic
from testing.chaos.repetition import Repetition

Experiment = Callable[[Repetition], Awaitable[None]]

EXPERIMENTS: Mapping[str, Experiment] = {
    "web-killed": web.killed,
    "web-frozen": web.frozen,
    "deploy": web.deployed,
    "clock-and-prune": web.clock,
    "postgres-stopped": postgres.stopped,
    "backends-terminated": postgres.terminated,
    "postgres-frozen": postgres.frozen,
    "commit-cut": postgres.commit_cut,
    "disk-full": postgres.disk_full,
    "restored": postgres.restored,
    "redis-killed": redis.killed,
    "redis-frozen": redis.frozen,
    "wake-ups-lost": redis.wake_ups_lost,
    "latency": network.slow,
    "cut": network.cut,
    "half-open": network.half_open,
    "same-client-id": clients.same_client_id,
    "slow-readers": clients.slow_readers,
    "sockets-dropped": clients.dropped,
    "frames-lost": clients.frames_lost,
    "revoked": clients.revoked,
    "notifications": notifications,
    "schedule": periodic,
}
