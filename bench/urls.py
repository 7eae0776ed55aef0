"""Parley's URLs, a trivial one, and one that enqueues a job."""

import time

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from bench.tasks import tell_time
from config.urls import handler400, handler403, handler404, handler500, urlpatterns

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]


def trivial(request: HttpRequest) -> HttpResponse:
    """Response at once."""
    return HttpResponse("ok", content_type="text/plain")


@csrf_exempt
def enqueue(request: HttpRequest) -> JsonResponse:
    """Response with the id of a new job, and when it was committed, in seconds since 1970."""
    committed: list[float] = []
    with transaction.atomic():
        # Before the job, so that this is called before workers are woken.
        transaction.on_commit(lambda: committed.append(time.time()))
        job = tell_time.enqueue()
    return JsonResponse({"id": job.id, "committed": committed[0]})


urlpatterns = [path("trivial", trivial), path("enqueue", enqueue), *urlpatterns]
