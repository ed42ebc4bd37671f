"""Verified access tokens are remembered: what that saves, and what it never lets in."""

import asyncio
import hashlib
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.harness.clocks import NOW, SteppedClock
from tests.harness.issuer import AUDIENCE, Issuer, SigningKeyPair
from webrtc_events.api.access_tokens import TokenVerifier
from webrtc_events.api.openid import Issuer as ReadIssuer
from webrtc_events.api.verified_tokens import VerifiedToken, VerifiedTokens
from webrtc_events.core.errors import InvalidToken, TokenFault
from webrtc_events.core.model import Caller

FIRST, SECOND = (SigningKeyPair.ec(kid, ec.SECP256R1()) for kid in ("first", "second"))
READ = ReadIssuer("https://issuer.example", (), 0.0)
CALLER = Caller("app", None, frozenset())


class Verifying:
    """A verifier, and how many signatures it checked."""

    def __init__(self, issuer: Issuer, monkeypatch: pytest.MonkeyPatch, audience: str = AUDIENCE) -> None:
        self.clock = SteppedClock()
        self.checked = 0
        self._issuer = issuer
        self._verifier = TokenVerifier(
            openid_configuration_url=issuer.discovery_url, audience=audience, clock=self.clock
        )
        decode = jwt.PyJWS.decode

        def counted(*args: Any, **options: Any) -> Any:
            self.checked += 1
            return decode(*args, **options)

        monkeypatch.setattr(jwt.PyJWS, "decode", counted)

    @property
    def remembered(self) -> int:
        return len(self._verifier._verified)

    def token(self, key: SigningKeyPair = FIRST, **claims: Any) -> str:
        return self._issuer.token(NOW, key=key, algorithm="ES256", **claims)

    async def caller(self, token: str) -> Caller:
        return await self._verifier.caller(token)

    async def fault(self, token: str) -> TokenFault:
        with pytest.raises(InvalidToken) as raised:
            await self.caller(token)
        return raised.value.fault

    async def keys_are_read(self, times: int) -> None:
        """The issuer has answered so often, and the verifier knows what."""
        while self._issuer.fetches() < times or self._verifier._keys._fetching is not None:
            await asyncio.sleep(0.01)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    serving = Issuer(FIRST)
    yield serving
    serving.close()


@pytest.fixture
def verifying(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> Verifying:
    return Verifying(issuer, monkeypatch)


def test_signature_is_checked_once(verifying: Verifying) -> None:
    token = verifying.token(sub="user", scope="a b")

    async def scenario() -> None:
        callers = [await verifying.caller(token) for _ in range(3)]
        assert callers == [Caller("app", "user", frozenset({"a", "b"}))] * 3
        assert verifying.checked == 1
        await verifying.caller(verifying.token(sub="user", scope="a"))
        assert verifying.checked == 2

    asyncio.run(scenario())


def test_token_is_remembered_until_the_second_it_expires_in(verifying: Verifying) -> None:
    """In the leeway that follows it is verified each time, and then refused."""
    token = verifying.token(exp=NOW + 60)

    async def scenario() -> None:
        await verifying.caller(token)
        verifying.clock.elapsed = 59.999
        await verifying.caller(token)
        assert (verifying.checked, verifying.remembered) == (1, 1)
        verifying.clock.elapsed = 60
        await verifying.caller(token)
        await verifying.caller(token)
        assert (verifying.checked, verifying.remembered) == (3, 0)
        verifying.clock.elapsed = 65
        assert await verifying.fault(token) is TokenFault.EXPIRED

    asyncio.run(scenario())


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_token_is_remembered_from_the_second_it_is_valid_in(verifying: Verifying, claim: str) -> None:
    """Also where the clock is set back behind it."""
    token = verifying.token(**{claim: NOW + 3})

    async def scenario() -> None:
        await verifying.caller(token)
        assert verifying.remembered == 0
        verifying.clock.elapsed = 3
        await verifying.caller(token)
        assert (verifying.checked, verifying.remembered) == (2, 1)
        verifying.clock.elapsed = -3
        assert await verifying.fault(token) is TokenFault.NOT_YET_VALID

    asyncio.run(scenario())


def test_key_that_the_issuer_removed_signs_nothing_any_more(issuer: Issuer, verifying: Verifying) -> None:
    token = verifying.token(exp=NOW + 90_000)

    async def scenario() -> None:
        await verifying.caller(token)
        issuer.keys = [SECOND]
        verifying.clock.elapsed = 3601
        # As for a token that was never seen: the keys are read in passing, and this request does not wait.
        assert await verifying.caller(token) == await verifying.caller(token)
        await verifying.keys_are_read(2)
        assert await verifying.fault(token) is TokenFault.KEY
        assert verifying.remembered == 0

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_key_under_the_same_name_is_another_key(issuer: Issuer, verifying: Verifying) -> None:
    token = verifying.token(exp=NOW + 90_000)

    async def scenario() -> None:
        await verifying.caller(token)
        issuer.keys = [SigningKeyPair("first", lambda: SECOND.private)]
        verifying.clock.elapsed = 3601
        await verifying.caller(token)
        await verifying.keys_are_read(2)
        assert await verifying.fault(token) is TokenFault.SIGNATURE

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_whatever_was_remembered_is_verified_anew_with_keys_that_were_read_anew(
    issuer: Issuer, verifying: Verifying
) -> None:
    tokens = [verifying.token(sub=f"user-{number}") for number in range(3)]

    async def scenario() -> None:
        for token in tokens:
            await verifying.caller(token)
        issuer.keys.append(SECOND)
        verifying.clock.elapsed = 11
        await verifying.caller(verifying.token(SECOND))
        assert (verifying.checked, verifying.remembered) == (4, 1)
        for token in tokens:
            await verifying.caller(token)
        assert (verifying.checked, verifying.remembered) == (7, 4)

    asyncio.run(scenario())


def test_token_for_another_audience_is_not_remembered(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch, verifying: Verifying
) -> None:
    """Nor is it by a verifier that has another audience, as after a restart with another setting."""
    elsewhere = Verifying(issuer, monkeypatch, audience="elsewhere")
    token = verifying.token()

    async def scenario() -> None:
        await verifying.caller(token)
        assert await elsewhere.fault(token) is TokenFault.AUDIENCE
        assert await elsewhere.fault(token) is TokenFault.AUDIENCE
        assert elsewhere.remembered == 0

    asyncio.run(scenario())


def test_what_is_refused_costs_no_memory(verifying: Verifying) -> None:
    good = verifying.token()
    head, body, signature = good.split(".")
    forged = [
        f"{head}.{body}.{'A' * len(signature)}",
        f"{head}.{verifying.token(sub='other').split('.')[1]}.{signature}",
        f"{good}.x",
        good[:-2],
        f" {good}",
        "a.b.c",
        "ä.ö.ü",
        "",
        verifying.token(SECOND),
        verifying.token(exp=NOW - 5),
        verifying.token(iss="https://other.example"),
        verifying.token(scope=5),
        verifying.token(client_id=None, sub=None),
    ]

    async def scenario() -> None:
        for _ in range(2):
            for token in forged:
                await verifying.fault(token)
        assert verifying.remembered == 0
        await verifying.caller(good)
        for token in forged:
            await verifying.fault(token)
        assert verifying.remembered == 1

    asyncio.run(scenario())


def test_long_token_is_verified_each_time(verifying: Verifying) -> None:
    token = verifying.token(scope="s" * 4096)

    async def scenario() -> None:
        await verifying.caller(token)
        await verifying.caller(token)
        assert (verifying.checked, verifying.remembered) == (2, 0)

    asyncio.run(scenario())


def test_ten_thousand_tokens_stay_bounded_and_those_used_last_stay() -> None:
    tokens = VerifiedTokens()
    for number in range(10_000):
        tokens.remember(f"token-{number}", VerifiedToken(None, READ, CALLER, 0, 1))
        assert tokens.find("token-0") is not None
    assert len(tokens) == 1024
    assert tokens.find("token-9999") is not None
    assert tokens.find("token-9000") is not None
    assert tokens.find("token-8000") is None


def test_no_text_of_a_token_is_kept() -> None:
    tokens = VerifiedTokens()
    tokens.remember("eyJ-secret", VerifiedToken("kid", READ, CALLER, 0, 1))
    kept = repr(tokens.__dict__)
    assert "secret" not in kept
    assert repr(hashlib.sha256(b"eyJ-secret").digest()) in kept
