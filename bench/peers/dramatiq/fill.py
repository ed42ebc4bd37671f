"""Queues a message for each line of the job's posts."""

import json
from pathlib import Path

from tasks import JOB, post

with Path(JOB["posts"]).open() as posts:
    for line in posts:
        post.send(*json.loads(line))
