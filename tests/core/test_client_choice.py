"""Which clients a setting is for, as an operator writes it."""

import pytest

from webrtc_events.core.client_choice import ClientChoice, parse_client_choice


@pytest.mark.parametrize("raw", ["true", "True", "1"])
def test_every_client(raw: str) -> None:
    choice = parse_client_choice(raw)
    assert choice == ClientChoice(every=True)
    assert "app" in choice
    assert choice.possible == (True,)


@pytest.mark.parametrize("raw", ["false", "FALSE", "0"])
def test_no_client(raw: str) -> None:
    choice = parse_client_choice(raw)
    assert choice == ClientChoice(every=False)
    assert "app" not in choice
    assert "" not in choice
    assert choice.possible == (False,)


@pytest.mark.parametrize(
    ("raw", "ids"),
    [
        ("app-1", {"app-1"}),
        ("app-1,app-2", {"app-1", "app-2"}),
        (" app-1 ,\tapp-2\n", {"app-1", "app-2"}),
        ("app-1,app-1", {"app-1"}),
        ("App,app", {"App", "app"}),
        ("https://app.example/id?x=1#y", {"https://app.example/id?x=1#y"}),
        ("a%2Cb,c%2cd", {"a,b", "c,d"}),
        ("my%20app,%20x%20", {"my app", " x "}),
        ("50%25,%2541", {"50%", "%41"}),
        ("%74rue,%31,fals%65", {"true", "1", "false"}),
        ("%C3%A9t%C3%A9,été", {"été"}),
        ("truely,10,offer", {"truely", "10", "offer"}),
        ("a+b", {"a+b"}),
    ],
)
def test_clients_by_their_ids(raw: str, ids: set[str]) -> None:
    choice = parse_client_choice(raw)
    assert choice == ClientChoice(every=False, ids=frozenset(ids))
    assert all(subscription_id in choice for subscription_id in ids)
    assert "somebody else" not in choice
    assert choice.possible == (False, True)


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        ("", "has an empty client id"),
        (" ", "has an empty client id"),
        (",", "has an empty client id"),
        ("app,", "has an empty client id"),
        ("a,,b", "has an empty client id"),
        ("yes", "has 'yes' for a client id"),
        ("On", "has 'On' for a client id"),
        ("*", "has '*' for a client id"),
        ("true,app", "has 'true' for a client id"),
        ("app,False", "has 'False' for a client id"),
        ("app 1", "has a space in the client id 'app 1'"),
        ("a\u00a0b", "has a space in the client id"),
        ("50%", "has a percent sign in the client id '50%'"),
        ("50%off", "has a percent sign in the client id '50%off'"),
        ("%ff", "is not UTF-8"),
        ("\udcff", "is not UTF-8"),
    ],
)
def test_what_may_be_meant_otherwise_is_refused(raw: str, fault: str) -> None:
    with pytest.raises(ValueError, match="must be true") as raised:
        parse_client_choice(raw)
    assert fault in str(raised.value)
    assert "true (every client), false (no client) or client ids separated by commas" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_there_may_be_many() -> None:
    ids = {f"app-{number}" for number in range(10_000)}
    choice = parse_client_choice(",".join(ids))
    assert choice.ids == ids
    assert "app-9999" in choice
