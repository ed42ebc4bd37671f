"""Celery, prefork: acknowledges late, retries with backoff, keeps a session in each process."""

import json
import os
from pathlib import Path

import requests
from celery import Celery

JOB = json.loads(Path(os.environ["BENCH_JOB"]).read_text())
HEADERS = {"Content-Type": "application/cloudevents+json"}

app = Celery("bench", broker=f"redis+socket://{JOB['socket']}")
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    # As its guide to optimizing has it for many short tasks.
    worker_prefetch_multiplier=64,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)
session = requests.Session()
session.trust_env = False
session.verify = JOB["ca_file"]


@app.task(autoretry_for=(requests.RequestException,), retry_backoff=True, max_retries=8)
def post(url: str, body: str) -> None:
    session.post(url, data=body.encode(), headers=HEADERS, timeout=10).raise_for_status()
