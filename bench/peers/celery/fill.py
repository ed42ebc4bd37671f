"""Queues a task for each line of the job's posts."""

import json
from pathlib import Path

from tasks import JOB, app, post

with app.producer_pool.acquire(block=True) as producer, Path(JOB["posts"]).open() as posts:
    for line in posts:
        post.apply_async(json.loads(line), producer=producer)
