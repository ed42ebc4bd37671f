"""The adapter beside a gateway is killed at any moment, and the service is away: each event comes once."""

from pathlib import Path

from tests.chaos.janus_posts import JanusPosts
from tests.chaos.processes import Process
from tests.chaos.run import CLOCK, Run
from tests.chaos.service import SCRIPTS
from tests.gateways.harness.ports import free_port
from tests.harness.issuer import Issuer
from tests.harness.valkeys import eventually
from webrtc_events.gateways.journal_view import view

PASSWORD = "of a run"
SESSIONS = 40
AWAY_S = 5.0


def test_the_adapter_beside_janus_is_killed(run: Run, issuer: Issuer) -> None:
    service = run.begin()
    service.start_api()
    service.start_worker(1)
    queue = run.directory / "janus.queue"
    port = free_port()
    adapter = start_adapter(run, token_endpoint(run, issuer), queue, port)
    sessions = run.channels(SESSIONS, run.options.events, "session-status")
    run.subscribe(sessions)
    posts = JanusPosts(f"http://127.0.0.1:{port}/", PASSWORD, sessions, run.draw, pause_s=0.02)
    posts.start()
    kills, away = 0, False
    while not posts.is_done():
        CLOCK.sleep(run.draw.uniform(0.0, 0.6))
        adapter.kill()
        kills += 1
        if posts.share > 0.5 and not away:
            away = True
            run.say(f"the service goes away for {AWAY_S:.0f} s")
            service.processes["api"].kill_all()
            adapter.start()
            CLOCK.sleep(AWAY_S)
            service.start_api()
        else:
            adapter.start()
        adapter.wait_output("Takes events of Janus")
    run.say(f"all is posted, {posts.repeats} times again, {kills} kills")
    eventually(lambda: not view(queue).entries, "the queue is empty", 60, every_s=0.2)
    assert view(queue).rejected == 0
    for channel in sessions:
        channel.sent = channel.appended = channel.total
    run.notes.append(f"{kills} kills, {posts.repeats} posts repeated")
    run.finish()
    assert adapter.terminate(15) < 15


def token_endpoint(run: Run, issuer: Issuer) -> str:
    """Where any client gets the service's own token, by client credentials."""
    token = {"access_token": run.service.token, "token_type": "Bearer", "expires_in": 86_400}
    issuer.documents["/token"] = lambda: token
    return f"{issuer.url}/token"


def start_adapter(run: Run, token_url: str, queue: Path, port: int) -> Process:
    password = run.directory / "password"
    password.write_text(PASSWORD)
    rules = run.directory / "registrations.toml"
    rules.write_text('[[registration]]\nidentity = "*"\nowner = "app"\nid = "{user}"\n')
    adapter = run.service.run(
        "adapter",
        *(str(SCRIPTS / "webrtc-events"), "gateway", "janus", "--queue", str(queue)),
        *("--service", run.service.url, "--token-url", token_url, "--listen", f"127.0.0.1:{port}"),
        *("--password-file", str(password), "--registrations", str(rules)),
    )
    adapter.wait_output("Takes events of Janus")
    return adapter
