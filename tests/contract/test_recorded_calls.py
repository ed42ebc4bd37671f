"""The recorded calls in tests/data/calls are plausible, and valid against both contracts."""

import ipaddress
import json
import re
from collections import defaultdict
from datetime import datetime
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from tests.gateways.janus.recorded import RECORDED
from tests.gateways.record import RUNS

ROOT = Path(__file__).parents[2]
CALLS = ROOT / "tests" / "data" / "calls"
FILES = sorted(CALLS.glob("*.ndjson"))
NAMES = {
    "answered",
    "cancelled",
    "declined",
    "hold-resume",
    "no-answer",
    "offerless-invite",
    "registration-expired",
    *(f"kamailio-{name}" for name in RUNS),
}
# Of real gateways: their session descriptions are those of SIP.
OF_JANUS = {f"janus-{name}" for name in RECORDED}
NAMES |= OF_JANUS
TYPE_PREFIX = "org.camaraproject.webrtc-events.v0."
INVITATION, STATUS, ENDS = (
    TYPE_PREFIX + name for name in ("session-invitation", "session-status", "registration-ends")
)
DATA_SCHEMAS = {
    INVITATION: "MediaSessionInvite",
    STATUS: "MediaSessionStatusUpdate",
    ENDS: "RegistrationEnds",
}
EVENT_SCHEMAS = {
    INVITATION: "NetworkSessionInvitation",
    STATUS: "NetworkSessionStatus",
    ENDS: "NetworkRegistrationEnds",
}
# RFC 5737 and RFC 3849, and what browsers write when they do not name an address.
DOCUMENTATION_NETWORKS = [
    ipaddress.ip_network(network)
    for network in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
]
PLACEHOLDERS = {"0.0.0.0", "127.0.0.1"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

Event = dict[str, Any]


class StringTimestamps(yaml.SafeLoader):
    """SafeLoader that leaves timestamps as the strings they are on the wire."""


StringTimestamps.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@cache
def validator(spec: str, schema: str) -> jsonschema_rs.Draft202012Validator:
    document = yaml.load((ROOT / "spec" / spec).read_text(encoding="utf-8"), Loader=StringTimestamps)  # noqa: S506
    return jsonschema_rs.Draft202012Validator(
        {"$ref": f"#/components/schemas/{schema}", "components": document["components"]},
        validate_formats=True,
    )


def lines(file: Path) -> list[str]:
    text = file.read_bytes().decode("utf-8")
    assert text.endswith("\n")
    return text[:-1].split("\n")


def events(file: Path) -> list[Event]:
    return [json.loads(line) for line in lines(file)]


def sdps(file: Path) -> list[str]:
    return [
        event["data"][role]["sdp"]
        for event in events(file)
        for role in ("offer", "answer")
        if role in event["data"]
    ]


def statuses(name: str) -> list[str]:
    """The statuses of a call in order; a registration-ends event counts as its reason."""
    return [
        event["data"].get("status") or event["data"]["terminationReason"]
        for event in events(CALLS / f"{name}.ndjson")
    ]


each_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
each_file_of_browsers = pytest.mark.parametrize(
    "file", [file for file in FILES if file.stem not in OF_JANUS], ids=lambda file: file.stem
)


def test_every_kind_of_call_is_recorded() -> None:
    assert {file.stem for file in FILES} == NAMES


@each_file
def test_lines_are_compact_json_objects(file: Path) -> None:
    for line in lines(file):
        event = json.loads(line)
        assert isinstance(event, dict)
        assert json.dumps(event, ensure_ascii=False, separators=(",", ":")) == line


@each_file
def test_events_are_valid_for_the_network_contract(file: Path) -> None:
    for event in events(file):
        validator("network-events.yaml", "NetworkEvent").validate(event)
        validator("network-events.yaml", EVENT_SCHEMAS[event["type"]]).validate(event)


@each_file
def test_data_with_a_subscription_id_is_valid_for_the_public_contract(file: Path) -> None:
    for event in events(file):
        assert "subscriptionId" not in event["data"]
        data = {"subscriptionId": "qs15-h556-rt89-1298", **event["data"]}
        validator("webrtc-events.yaml", DATA_SCHEMAS[event["type"]]).validate(data)


def test_ids_are_unique_in_their_source_and_calls_share_nothing() -> None:
    ids = [(event["source"], event["id"]) for file in FILES for event in events(file)]
    assert len(set(ids)) == len(ids)
    files_of: dict[tuple[str, str], set[str]] = defaultdict(set)
    for file in FILES:
        for event in events(file):
            if "subject" in event:
                files_of["registration", event["subject"]].add(file.stem)
            if "mediaSessionId" in event["data"]:
                files_of["session", event["data"]["mediaSessionId"]].add(file.stem)
    assert all(len(names) == 1 for names in files_of.values())


@each_file
def test_times_ascend(file: Path) -> None:
    times = [event["time"] for event in events(file)]
    assert all(TIME.fullmatch(time) for time in times)
    moments = [datetime.fromisoformat(time) for time in times]
    assert all(earlier < later for earlier, later in pairwise(moments))


@each_file
def test_sequence_numbers_count_the_events_of_a_session_from_1(file: Path) -> None:
    numbers: dict[str, list[int]] = defaultdict(list)
    for event in events(file):
        if event["type"] != ENDS:
            numbers[event["data"]["mediaSessionId"]].append(event["data"]["sequenceNumber"])
    assert len(numbers) == 1
    for sequence in numbers.values():
        assert sequence == list(range(1, len(sequence) + 1))


@each_file
def test_a_call_begins_with_its_invitation_and_names_both_parties(file: Path) -> None:
    first, *others = events(file)
    assert first["type"] == INVITATION
    assert first["data"]["status"] == "Initial"
    assert INVITATION not in {event["type"] for event in others}
    parties = {
        (event["data"]["originatorAddress"], event["data"]["receiverAddress"])
        for event in [first, *others]
        if event["type"] != ENDS
    }
    assert len(parties) == 1


@each_file
def test_subjects_are_registrations(file: Path) -> None:
    for event in events(file):
        if event["type"] == ENDS:
            assert event["subject"] == event["data"]["registrationId"]
        elif event["type"] == INVITATION:
            assert event["subject"]
        else:
            assert ("subject" in event) == (file.stem != "hold-resume")


@each_file_of_browsers
def test_sdp_has_the_size_and_the_lines_of_a_browser(file: Path) -> None:
    for sdp in sdps(file):
        assert 2_000 <= len(sdp.encode()) <= 6_000
        assert sdp.endswith("\r\n")
        assert "\n" not in sdp.replace("\r\n", "")
        assert "\r" not in sdp.replace("\r\n", "")
        session, *media = re.split(r"(?m)^(?=m=)", sdp)
        assert re.match(
            r"v=0\r\no=(-|mozilla\.\.\.THIS_IS_SDPARTA-99\.0) \d+ \d+ IN IP4 \S+\r\ns=-\r\nt=0 0\r\n", session
        )
        mids = re.findall(r"(?m)^a=mid:(\S+)\r$", sdp)
        assert f"a=group:BUNDLE {' '.join(mids)}\r\n" in session
        assert re.search(r"(?m)^a=msid-semantic: ?WMS", session)
        assert media
        assert len(mids) == len(media)
        assert re.search(r"(?m)^a=fingerprint:sha-256 ([0-9A-F]{2}:){31}[0-9A-F]{2}\r$", sdp)
        for section in media:
            assert_media_section(section)


def assert_media_section(section: str) -> None:
    head = re.match(r"m=(audio|video) \d+ UDP/TLS/RTP/SAVPF ((?:\d+ ?)+)\r\nc=IN IP4 \S+\r\n", section)
    assert head
    payload_types = head[2].split()
    assert len(set(payload_types)) == len(payload_types)
    assert re.findall(r"(?m)^a=rtpmap:(\d+) ", section) == payload_types
    for attribute in ("fmtp", "rtcp-fb"):
        assert set(re.findall(rf"(?m)^a={attribute}:(\d+) ", section)) <= set(payload_types)
    codec = {"audio": "opus/48000/2", "video": "VP8/90000"}[head[1]]
    assert f" {codec}\r\n" in section
    assert re.search(r"(?m)^a=ice-ufrag:\S{4,}\r$", section)
    assert re.search(r"(?m)^a=ice-pwd:\S{22,}\r$", section)
    assert re.search(r"(?m)^a=setup:(actpass|active|passive)\r$", section)
    assert re.search(r"(?m)^a=extmap:\d+", section)
    assert len(re.findall(r"(?m)^a=(sendrecv|sendonly|recvonly|inactive)\r$", section)) == 1
    assert "a=rtcp-mux\r\n" in section


@each_file_of_browsers
def test_offers_ask_for_a_dtls_role_and_answers_choose_one(file: Path) -> None:
    for event in events(file):
        for role, choices in (("offer", {"actpass"}), ("answer", {"active", "passive"})):
            if role in event["data"]:
                setups = set(re.findall(r"(?m)^a=setup:(\S+)\r$", event["data"][role]["sdp"]))
                assert len(setups) == 1
                assert setups <= choices


@each_file_of_browsers
def test_addresses_are_those_for_documentation(file: Path) -> None:
    candidate = re.compile(
        r"(?m)^a=candidate:\S+ \d (?i:udp|tcp) \d+ (\S+) \d+ typ \w+(?: raddr (\S+) rport \d+)?"
    )
    for sdp in sdps(file):
        found = {address for pair in candidate.findall(sdp) for address in pair if address}
        assert found
        named = set(re.findall(r"IN IP[46] (\S+)", sdp)) - PLACEHOLDERS
        for text in found | named:
            address = ipaddress.ip_address(text)
            assert any(address in network for network in DOCUMENTATION_NETWORKS), text


@each_file
def test_parties_are_fictional(file: Path) -> None:
    for event in events(file):
        if event["type"] != ENDS:
            for side in ("originatorAddress", "receiverAddress"):
                assert re.fullmatch(
                    r"tel:\+1202555\d{4}|sip:[^@]+@([a-z]+\.)?example\.com", event["data"][side]
                )


def test_both_browsers_are_recorded() -> None:
    origins = {sdp.splitlines()[1].split()[0] for file in FILES for sdp in sdps(file)}
    assert origins == {"o=-", "o=mozilla...THIS_IS_SDPARTA-99.0"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("declined", ["Initial", "InProgress", "Ringing", "Declined"]),
        ("no-answer", ["Initial", "InProgress", "Ringing", "Ringing", "NoAnswer", "NoAnswer"]),
        ("cancelled", ["Initial", "InProgress", "Ringing", "SessionCancelled"]),
        (
            "hold-resume",
            [
                "Initial",
                "InProgress",
                "Ringing",
                "Connected",
                "Hold",
                "Resume",
                "Hold",
                "Resume",
                "Terminated",
            ],
        ),
        ("offerless-invite", ["Initial", "InProgress", "Ringing", "Proceeding", "Connected", "Terminated"]),
        (
            "registration-expired",
            ["Initial", "InProgress", "Ringing", "Connected", "REGISTRATION_EXPIRED", "Terminated"],
        ),
    ],
)
def test_a_call_takes_its_course(name: str, expected: list[str]) -> None:
    assert statuses(name) == expected


def test_the_answered_call_feeds_three_subscriptions_of_one_registration() -> None:
    call = events(CALLS / "answered.ndjson")
    assert len(call) >= 11
    assert len({event["subject"] for event in call}) == 1
    assert {event["type"] for event in call} == set(DATA_SCHEMAS)
    assert call[-1]["type"] == ENDS
    course = statuses("answered")
    assert course[0] == "Initial"
    assert course[-2] == "Terminated"
    assert {"InProgress", "Ringing", "Connected", "Hold", "Resume"} <= set(course)
    assert "offer" in call[0]["data"]
    assert "answer" in call[course.index("Connected")]["data"]


def test_the_receiver_of_an_offerless_invitation_makes_the_offer() -> None:
    call = events(CALLS / "offerless-invite.ndjson")
    assert call[0]["data"]["offerRequired"] is True
    with_offer = [event for event in call if "offer" in event["data"]]
    with_answer = [event for event in call if "answer" in event["data"]]
    assert call[0] not in with_offer
    assert with_offer[0]["data"]["sequenceNumber"] < with_answer[0]["data"]["sequenceNumber"]


def test_the_table_in_the_readme_tells_the_truth() -> None:
    readme = (CALLS / "README.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip(" `") for cell in line.split("|")[1:-1]] for line in readme.splitlines() if "| `" in line
    ]
    documented = {row[0]: (int(row[2]), row[3], row[4]) for row in rows}
    assert documented == {
        file.name: (len(call), call[0]["subject"], call[0]["data"]["mediaSessionId"])
        for file in FILES
        for call in [events(file)]
    }
