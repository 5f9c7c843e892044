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
        data = {"trace": TRACE, "threshold": random.choice([0.02, 0.06, 0.1, 0.3])}
        at = "/gradio_api/call/v2/predict"
        with self.client.post(at, json=data, catch_response=True) as answer:
            if answer.status_code == 429:  # refused, and said to be
                return
            if answer.status_code != 200:
                answer.failure(answer.text[:200])
                return
        name = "/gradio_api/call/v2/predict/[id]"
        at = f"{at}/{answer.json()['event_id']}"
        with self.client.get(at, name=name, catch_response=True) as answer:
            if "event: complete" not in answer.text:
                answer.failure(answer.text[:200])

    @task(1)
    def health(self):
        self.client.get("/health")
