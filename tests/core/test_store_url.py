"""Where the store is: what each kind of URL says, and what is refused."""

import re
from pathlib import Path

import pytest

from webrtc_events.core.store_url import StoreKind, StoreUrl, parse_store_url

CLUSTER, SENTINEL, SERVER, SOCKET = (
    StoreKind.CLUSTER,
    StoreKind.SENTINEL,
    StoreKind.SERVER,
    StoreKind.SOCKET,
)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://store", StoreUrl(kind=SERVER, hosts=(("store", 6379),))),
        ("redis://store:7000/3", StoreUrl(kind=SERVER, hosts=(("store", 7000),), db=3)),
        ("redis://[::1]:7000/", StoreUrl(kind=SERVER, hosts=(("::1", 7000),))),
        ("rediss://store", StoreUrl(kind=SERVER, hosts=(("store", 6379),), tls=True)),
        (
            "redis://events:p%40ss%3Aw%2Ford@store",
            StoreUrl(kind=SERVER, hosts=(("store", 6379),), username="events", password="p@ss:w/ord"),
        ),
        ("redis://:secret@store", StoreUrl(kind=SERVER, hosts=(("store", 6379),), password="secret")),
        ("unix:///run/valkey.sock", StoreUrl(kind=SOCKET, path="/run/valkey.sock")),
        ("unix:///run/my%20store?db=2", StoreUrl(kind=SOCKET, path="/run/my store", db=2)),
        ("unix://:secret@/run/store", StoreUrl(kind=SOCKET, path="/run/store", password="secret")),
        ("redis+cluster://a", StoreUrl(kind=CLUSTER, hosts=(("a", 6379),))),
        (
            "redis+cluster://u:p@a:7000,b:7001,[2001:db8::1]",
            StoreUrl(
                kind=CLUSTER,
                hosts=(("a", 7000), ("b", 7001), ("2001:db8::1", 6379)),
                username="u",
                password="p",
            ),
        ),
        (
            "redis+cluster://[::1]:7000,[::2]:7001",
            StoreUrl(kind=CLUSTER, hosts=(("::1", 7000), ("::2", 7001))),
        ),
        ("rediss+cluster://a/", StoreUrl(kind=CLUSTER, hosts=(("a", 6379),), tls=True)),
        (
            "redis+sentinel://a,b:7000/events",
            StoreUrl(kind=SENTINEL, hosts=(("a", 26379), ("b", 7000)), service="events"),
        ),
        (
            "rediss+sentinel://u:p@a/my%2Fevents/4?sentinel_username=s&sentinel_password=q%26",
            StoreUrl(
                kind=SENTINEL,
                hosts=(("a", 26379),),
                tls=True,
                username="u",
                password="p",
                service="my/events",
                db=4,
                sentinel_username="s",
                sentinel_password="q&",
            ),
        ),
    ],
)
def test_a_url_says_where_the_store_is(url: str, expected: StoreUrl) -> None:
    assert parse_store_url(url) == expected


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "must start with one of"),
        ("http://store", "must start with one of redis://, rediss://, unix://"),
        ("redis-cluster://store", "must start with one of"),
        ("redis://", "host:port"),
        ("redis://a,b", "must name one host"),
        ("redis://store:0", "host:port"),
        ("redis://store:65536", "host:port"),
        ("redis://store:port", "host:port"),
        ("redis://::1", "host:port"),
        ("redis://store/first", "number as its database"),
        ("redis://store#1", "`#`"),
        ("redis://store?db=1", "after `?`"),
        ("redis://store?ssl_ca_certs=/x", "after `?`"),
        ("rediss://store?ssl_ca_certs=/nonexistent.pem", "does not exist"),
        ("rediss://store?ssl_cert_reqs=none", "but ssl_ca_certs, ssl_certfile"),
        ("unix://", "absolute path"),
        ("unix://run/valkey.sock", "absolute path"),
        ("redis+cluster://a,", "host:port"),
        ("redis+cluster://a,b/1", "must not name a database"),
        ("redis+cluster://a?sentinel_password=x", "after `?`"),
        ("redis+sentinel://a", "must name the master"),
        ("redis+sentinel://a/events/first", "number as its database"),
        ("redis+sentinel:///events", "host:port"),
    ],
)
def test_what_says_nothing_of_use_is_refused(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_store_url(url)


def test_tls_files_are_those_that_exist(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.touch()
    found = parse_store_url(f"rediss+cluster://a?ssl_ca_certs={ca}")
    assert found.tls_files == (("ssl_ca_certs", str(ca)),)


def test_passwords_are_not_shown() -> None:
    url = parse_store_url("redis+sentinel://user:s3cret@a,b/events?sentinel_password=hushhush")
    assert str(url) == "events of a:26379, b:26379"
    for shown in (str(url), repr(url)):
        assert "s3cret" not in shown
        assert "hushhush" not in shown


@pytest.mark.parametrize(
    "url",
    ["redis://user:s3cret@store:nowhere", "redis://user:what?s3cret@store", "redis://u:what#s3cret@store"],
)
def test_a_fault_repeats_no_password(url: str) -> None:
    with pytest.raises(ValueError, match="must") as caught:
        parse_store_url(url)
    assert "s3cret" not in str(caught.value)
