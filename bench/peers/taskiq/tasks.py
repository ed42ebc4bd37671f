"""taskiq on a Redis stream: acknowledges when a task is done, retries, keeps a session in each process."""

import json
import os
import ssl
from pathlib import Path

import aiohttp
from taskiq import SmartRetryMiddleware, TaskiqEvents, TaskiqState
from taskiq_redis import RedisStreamBroker

JOB = json.loads(Path(os.environ["BENCH_JOB"]).read_text())
HEADERS = {"Content-Type": "application/cloudevents+json"}

broker = RedisStreamBroker(f"unix://{JOB['socket']}").with_middlewares(
    SmartRetryMiddleware(default_retry_count=8, use_delay_exponent=True)
)


@broker.on_event(TaskiqEvents.WORKER_STARTUP)
async def open_session(state: TaskiqState) -> None:
    trust = ssl.create_default_context(cafile=JOB["ca_file"])
    state.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust, limit=100))


@broker.on_event(TaskiqEvents.WORKER_SHUTDOWN)
async def close_session(state: TaskiqState) -> None:
    await state.session.close()


@broker.task(retry_on_error=True)
async def post(url: str, body: str) -> None:
    async with broker.state.session.post(url, data=body.encode(), headers=HEADERS) as response:
        response.raise_for_status()
