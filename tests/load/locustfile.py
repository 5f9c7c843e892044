"""Visitors that read the page and ask for predictions, for `locust` (the extra `load`).

    locust -f tests/load/locustfile.py --headless -u 50 -r 10 -t 60s --host http://127.0.0.1:7860

A comparison takes the model's one place, so its load is that of `test_visitors.py`; this one is
that of everything else: pages, their files, `/predict`, `/health`. With `BWCACHE_VISITS=N` each
visitor leaves after so many tasks, and locust ends with the last of them.
"""

import json
import os
import random

import gevent
from locust import HttpUser, task
from locust.exception import StopUser

from bwcache.runs.recorded import RUNS, listing

TRACE = json.loads(next(run for _, run in listing(RUNS)).trace.dumps())
VISITS = int(os.environ.get("BWCACHE_VISITS", 0))  # 0: until locust is stopped
PREDICT = "/gradio_api/call/v2/predict"
PREDICTED = f"{PREDICT}/[id]"  # how locust calls the answers


class Visitor(HttpUser):
    visits = gone = 0

    @task(3)
    def look(self):
        self.client.get("/")
        self.client.get("/config")

    @task(5)
    def predict(self):
        data = {"trace": TRACE, "threshold": random.choice([0.02, 0.06, 0.1, 0.3])}
        with self.client.post(PREDICT, json=data, catch_response=True) as answer:
            if answer.status_code == 429:  # refused, and said to be
                answer.success()
                return
            if answer.status_code != 200:
                answer.failure(answer.text[:200])
                return
        at = f"{PREDICT}/{answer.json()['event_id']}"
        with self.client.get(at, name=PREDICTED, catch_response=True) as answer:
            if "event: complete" not in answer.text:
                answer.failure(answer.text[:200])

    @task(1)
    def health(self):
        self.client.get("/health")

    def wait_time(self):
        """Seconds until the next task; it is asked for after each, however that one ended."""
        self.visits += 1
        if self.visits == VISITS:
            Visitor.gone += 1
            if Visitor.gone == self.environment.parsed_options.num_users:
                gevent.spawn(self.environment.runner.quit)
            raise StopUser
        return random.uniform(0.1, 1.0)
