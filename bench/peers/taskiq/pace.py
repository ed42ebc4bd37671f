"""Queues the first BENCH_COUNT posts at BENCH_RATE a second; writes when it queued each to BENCH_SENT."""

import asyncio
import json
import os
import time
from itertools import islice
from pathlib import Path

from tasks import JOB, broker, post

RATE = float(os.environ["BENCH_RATE"])


async def main() -> None:
    with Path(JOB["posts"]).open() as lines:
        posts = [json.loads(line) for line in islice(lines, int(os.environ["BENCH_COUNT"]))]
    await broker.startup()
    sent, queueing = [], []
    started = time.monotonic()
    for number, arguments in enumerate(posts):
        if (wait := started + number / RATE - time.monotonic()) > 0:
            await asyncio.sleep(wait)
        sent.append(time.time())
        queueing.append(asyncio.create_task(post.kiq(*arguments)))
    await asyncio.gather(*queueing)
    await broker.shutdown()
    Path(os.environ["BENCH_SENT"]).write_text(json.dumps(sent))


asyncio.run(main())
