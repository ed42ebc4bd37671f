"""What Connexion imports for nothing stays unloaded, in this process and for whoever imports it later."""

import subprocess
import sys

import pytest

from webrtc_events.api.unused_imports import NotLoadedError, unused_imports_left_out

UNUSED = ["starlette.testclient", "httpx"]


def printed(code: str) -> list[str]:
    """What a separate process prints that has the API; it warns of nothing."""
    command = [sys.executable, "-c", f"import sys, webrtc_events.app\n{code}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def test_the_api_starts_without_a_test_client() -> None:
    assert printed("print(*sys.modules.keys() & {'starlette.testclient', 'httpx', 'rfc3987_syntax'})") == []


@pytest.mark.parametrize("name", UNUSED)
def test_who_imports_it_later_gets_the_real_one(name: str) -> None:
    # Starlette's client warns of httpx, where there is no httpx2.
    quiet = "import warnings; warnings.simplefilter('ignore')"
    (path,) = printed(f"{quiet}; import {name}; print(sys.modules['{name}'].__file__)")
    assert path.endswith((f"{name.replace('.', '/')}.py", f"{name}/__init__.py"))


def test_who_had_it_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = type(sys)("httpx")
    monkeypatch.setitem(sys.modules, "httpx", kept)
    with unused_imports_left_out():
        assert sys.modules["httpx"] is kept
    assert sys.modules["httpx"] is kept


def test_a_name_of_it_that_is_called_says_where_it_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "httpx", raising=False)
    with unused_imports_left_out():
        import httpx
    with pytest.raises(NotLoadedError, match=r"httpx\.AsyncClient is not loaded: .*unused_imports"):
        httpx.AsyncClient()


def test_it_is_removed_after_a_failed_import(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "httpx", raising=False)
    with pytest.raises(ImportError), unused_imports_left_out():
        raise ImportError("broken")
    assert "httpx" not in sys.modules
