"""Programs that are not installed: a skip where that is allowed, a failure where it is not."""

import pytest

from tests.production.operations.tools import tool


def test_a_program_that_is_missing_skips_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="needs no-such-program: apt-get install some-package"):
        tool("some-package", "no-such-program")


def test_in_ci_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install some-package"):
        tool("some-package", "no-such-program")


def test_the_first_that_is_installed_is_taken() -> None:
    assert tool("coreutils", "no-such-program", "env").endswith("/env")
