"""Bare Flask: takes and gives the same JSON as the API, at the same paths, and does nothing with it."""

import json
import os
from pathlib import Path

from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue

# What the API answers: a subscription, and a list of them.
ANSWERS = json.loads(Path(os.environ["BENCH_ANSWERS"]).read_text())

app = Flask(__name__)
app.json.sort_keys = False


@app.post("/network/v0/events")
def publish() -> ResponseReturnValue:
    body = request.get_json(force=True)
    events = body if isinstance(body, list) else [body]
    results = [{"id": event["id"], "status": "accepted", "subscriptions": 1} for event in events]
    return jsonify(results=results), 202


@app.post("/webrtc-events/v0.2/subscriptions")
def create() -> ResponseReturnValue:
    asked = request.get_json()
    return jsonify({**ANSWERS["one"], "sink": asked["sink"], "config": asked["config"]}), 201


@app.get("/webrtc-events/v0.2/subscriptions/<subscription_id>")
def read(subscription_id: str) -> ResponseReturnValue:
    return jsonify({**ANSWERS["one"], "id": subscription_id})


@app.get("/webrtc-events/v0.2/subscriptions")
def read_all() -> ResponseReturnValue:
    return jsonify(ANSWERS["list"])
