"""Visitors that read the page and ask for predictions, for `locust` (the extra `load`).

    locust -f tests/load/locustfile.py --headless -u 50 -r 10 -t 60s --host http://127.0.0.1:7860

A comparison takes the model's one place, so its load is that of `test_visitors.py`; this one is
that of everything else: pages, their files, `/predict`, `/health`.
"""

import json
import random

from locust import HttpUser, between, task

from bwcache.runs.recorded import RUNS, listing

TRACE = json.loads(next(run for _, run in listing(RUNS)).trace.dumps())


class Visitor(HttpUser):
    wait_time = between(0.1, 1.0)

    @task(3)
    def look(self):
        self.client.get("/")
        self.client.get("/config")

    @task(5)
    def predict(self):
        data = [TRACE, random.choice([0.02, 0.06, 0.1, 0.3])]
        with self.client.post(
            "/gradio_api/call/predict", json={"data": data}, catch_response=True
        ) as answer:
            if answer.status_code not in (200, 429):
                answer.failure(answer.text[:200])

    @task(1)
    def health(self):
        self.client.get("/health")
