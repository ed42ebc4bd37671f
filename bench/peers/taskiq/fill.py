"""Queues a task for each line of the job's posts, a hundred at a time."""

import asyncio
import json
from itertools import islice
from pathlib import Path

from tasks import JOB, broker, post


async def main() -> None:
    await broker.startup()
    with Path(JOB["posts"]).open() as posts:
        while lines := list(islice(posts, 100)):
            await asyncio.gather(*(post.kiq(*json.loads(line)) for line in lines))
    await broker.shutdown()


asyncio.run(main())
