"""The list of subscriptions: what it shows, its filters, its pages."""

import html
import re

import pytest
import redis
from flask.testing import FlaskClient

from tests.harness.builders import created
from tests.store.devices import DEVICE, OTHER_DEVICE, created_for
from webrtc_events.console.console_parts import ConsoleParts
from webrtc_events.core.model import EventType, Status, Subscription, TerminationReason
from webrtc_events.store.keys import partition_of
from webrtc_events.store.store import Store

_ID = re.compile(r'href="/subscriptions/([0-9a-f]{32}-[0-9a-f]{2})"')
_NEXT = re.compile(r'rel="next"[^>]* href="([^"]+)"')


def ids(console: FlaskClient, query: str = "") -> list[str]:
    """Of all pages, in their order."""
    found: list[str] = []
    path: str | None = f"/subscriptions/{query}"
    while path is not None:
        text = console.get(path).text
        found += _ID.findall(text)
        following = _NEXT.search(text)
        path = following and html.unescape(following[1])
    return found


@pytest.fixture
def several(store: Store) -> dict[str, Subscription]:
    made = {
        "plain": created(store, registration="r1", client="app"),
        "status": created(
            store, registration="r1", client="app", event_type=EventType.SESSION_STATUS, session="s1"
        ),
        "elsewhere": created(
            store, registration="r2", client="pbx", sink="https://hooks.pbx.example:8443/x?y=1"
        ),
        "asked": created(store, registration="r3", client="pbx", origin="events.example"),
        "over": created(store, registration="r1", client="app"),
    }
    store.subscriptions.end(
        made["over"].id, TerminationReason.NETWORK_TERMINATED, Status.EXPIRED, drop_pending=False
    )
    return made


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", {"plain", "status", "elsewhere", "asked", "over"}),
        ("?client=app", {"plain", "status", "over"}),
        ("?client=nobody", set()),
        ("?client=app&status=live", {"plain", "status"}),
        ("?type=session-status", {"status"}),
        ("?status=expired", {"over"}),
        ("?status=over", {"over"}),
        ("?status=activation_requested", {"asked"}),
        ("?registration=r1&status=live", {"plain", "status"}),
        ("?registration=r1", {"plain", "status"}),
        ("?registration=r1&status=over", {"over"}),
        ("?registration=r1&type=session-status", {"status"}),
        ("?registration=r1&client=pbx", set()),
        ("?host=hooks.pbx.example", {"elsewhere"}),
        ("?host=HOOKS.pbx.example:8443", {"elsewhere"}),
        ("?host=pbx.example", {"elsewhere"}),
        ("?host=bx.example", set()),
        ("?host=pbx.example&client=pbx&type=session-invitation", {"elsewhere"}),
    ],
)
def test_filters_leave_what_they_say(
    console: FlaskClient, several: dict[str, Subscription], query: str, names: set[str]
) -> None:
    assert sorted(ids(console, query)) == sorted(several[name].id for name in names)


def test_a_registration_is_found_by_the_pseudonym_of_the_log(
    console: FlaskClient, several: dict[str, Subscription], parts: ConsoleParts
) -> None:
    pseudonym = parts.masking.pseudonym("r2")
    assert ids(console, f"?registration={pseudonym}") == [several["elsewhere"].id]


def test_ended_ones_of_a_registration_are_a_link_away(
    console: FlaskClient, several: dict[str, Subscription]
) -> None:
    text = console.get("/subscriptions/?registration=r1").text
    assert "look for these too" in text
    assert "registration=r1&amp;status=over" in text


def test_registrations_are_masked_and_paths_of_sinks_left_out(
    console: FlaskClient, store: Store, parts: ConsoleParts
) -> None:
    created(store, registration="very-personal", sink="https://app.example/alice?token=secret")
    text = console.get("/subscriptions/").text
    assert parts.masking.pseudonym("very-personal") in text
    assert "app.example" in text
    assert not re.search("very-personal|alice|secret", text)


def test_an_id_leads_to_its_subscription(console: FlaskClient, store: Store) -> None:
    made = created(store)
    answer = console.get(f"/subscriptions/?id=%20{made.id}")
    assert (answer.status_code, answer.location) == (302, f"/subscriptions/{made.id}")


@pytest.mark.parametrize(
    "query", ["?type=nothing", "?status=nothing", "?after=nothing", "?after=9x_1", "?after=a_b_c_d"]
)
def test_what_is_no_filter_or_place_is_refused(console: FlaskClient, query: str) -> None:
    assert console.get(f"/subscriptions/{query}").status_code == 400


@pytest.mark.parametrize(
    "query", ["?after=zzz__0_0", "?client=app&after=7x0__0_0", "?registration=r1&after=qx1__0_0"]
)
def test_a_place_of_another_list_is_refused(console: FlaskClient, query: str) -> None:
    assert console.get(f"/subscriptions/{query}").status_code == 400


@pytest.mark.parametrize("query", ["", "?client=app", "?registration=r1", "?host=localhost"])
def test_pages_have_each_subscription_once(console: FlaskClient, store: Store, query: str) -> None:
    made = [created(store).id for _ in range(40)]
    made += [created(store, event_type=EventType.REGISTRATION_ENDS).id for _ in range(10)]
    first = console.get(f"/subscriptions/{query}").text
    assert len(_ID.findall(first)) == 50
    store.subscriptions.discard(made.pop(), "app")
    made += [created(store, registration="r2", client="app").id for _ in range(40)]
    found = ids(console, query)
    wanted = made[:49] if "registration" in query else made
    assert sorted(found) == sorted(wanted)


def test_a_client_has_its_oldest_first(console: FlaskClient, store: Store) -> None:
    made = [created(store, registration=f"r{number}").id for number in range(60)]
    assert ids(console, "?client=app") == made


def test_what_is_damaged_is_shown_and_breaks_no_page(
    console: FlaskClient, store: Store, raw_store: "redis.Redis"
) -> None:
    well, wrong, no_hash = created(store), created(store), created(store)
    p = partition_of("r1", 64)
    raw_store.hset(p.subscription(wrong.id), mapping={"status": b"\xff\xfe", "client": b"\xff"})
    raw_store.delete(p.subscription(no_hash.id))
    raw_store.set(p.subscription(no_hash.id), "x")
    text = console.get("/subscriptions/").text
    assert {well.id, wrong.id, no_hash.id} == set(_ID.findall(text))
    assert "its field status cannot be read" in text
    assert "it is a key of another type" in text


def test_a_record_of_a_newer_release_is_named(
    console: FlaskClient, store: Store, raw_store: "redis.Redis"
) -> None:
    made = created(store)
    raw_store.hset(partition_of("r1", 64).subscription(made.id), "format", "77")
    assert "a newer release wrote it" in console.get("/subscriptions/").text


def test_without_any_the_page_says_so(console: FlaskClient, store: Store) -> None:
    assert "There is no subscription yet." in console.get("/subscriptions/").text
    assert "No subscription matches." in console.get("/subscriptions/?client=x").text


def test_one_to_a_device_is_listed_with_its_types_its_version_and_a_pseudonym(
    console: FlaskClient, store: Store, parts: ConsoleParts
) -> None:
    old, new = created(store), created_for(store)
    text = " ".join(console.get("/subscriptions/").text.split())
    assert "session-invitation<br>session-status<br>registration-ends" in text
    assert '<td data-label="Version">0.3</td>' in text
    pseudonym = parts.masking.pseudonym(DEVICE)
    assert f'<span class="quiet kind">device</span> <span class="mono">{pseudonym}</span>' in text
    assert DEVICE not in text
    for query in (
        f"?device={pseudonym}",
        f"?device={DEVICE.upper()}",
        "?version=0.3",
        "?type=registration-ends",
    ):
        assert ids(console, query) == [new.id], query
    assert ids(console, "?version=0.2") == [old.id]
    assert set(ids(console, "?client=app&type=session-invitation")) == {old.id, new.id}
    assert ids(console, f"?device={OTHER_DEVICE}") == []
    assert console.get("/subscriptions/?version=9").status_code == 400
