"""Bare libcurl: no queue, no store, no promise; 64 POSTs at once from one thread. What the wire allows."""

import json
import os
import signal
from pathlib import Path

import pycurl

AT_ONCE = 64


def handle(ca_file: str) -> pycurl.Curl:
    curl = pycurl.Curl()
    curl.setopt(pycurl.CAINFO, ca_file)
    curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
    curl.setopt(pycurl.HTTPHEADER, ["content-type: application/cloudevents+json"])
    curl.setopt(pycurl.POST, 1)
    return curl


def main() -> None:
    job = json.loads(Path(os.environ["BENCH_JOB"]).read_text())
    with Path(job["posts"]).open() as lines:
        posts = [(url, body.encode()) for url, body in map(json.loads, lines)]
    posts.reverse()
    multi = pycurl.CurlMulti()
    idle = [handle(job["ca_file"]) for _ in range(AT_ONCE)]
    under_way = 0
    while posts or under_way:
        while posts and idle:
            curl = idle.pop()
            url, body = posts.pop()
            curl.setopt(pycurl.URL, url)
            curl.setopt(pycurl.POSTFIELDS, body)
            multi.add_handle(curl)
            under_way += 1
        multi.perform()
        if not (done := finished(multi)):
            multi.select(1.0)
        idle += done
        under_way -= len(done)
    # Whoever measures asks for its CPU time before it ends.
    signal.pause()


def finished(multi: pycurl.CurlMulti) -> list[pycurl.Curl]:
    done = []
    queued = 1
    while queued:
        queued, succeeded, failed = multi.info_read()
        assert not failed, failed
        for curl in succeeded:
            assert curl.getinfo(pycurl.RESPONSE_CODE) == 204
            multi.remove_handle(curl)
            done.append(curl)
    return done


if __name__ == "__main__":
    main()
