"""A Django view. Nothing starts the recorder: the first execution of each process does.

EXECLOG_DSN=postgresql://... gunicorn django_service:app   # or: python django_service.py runserver
"""

import json
import os
import sys

from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.http import require_POST

import execlog

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="any")
recorder = execlog.ExecutionRecorder(os.environ["EXECLOG_DSN"])


@require_POST
def score(request: HttpRequest) -> JsonResponse:
    """One run of the strategy."""
    event = json.loads(request.body)
    with recorder.run(
        strategy_id="loyalty", strategy_version=3, strategy_type="DSL", input=event
    ) as run:
        run.points, run.nodes_executed = event["amount"] / 10, 1
    return JsonResponse({"id": str(run.id), "points": run.points})


urlpatterns = [path("score", score)]

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
else:
    app = get_wsgi_application()
