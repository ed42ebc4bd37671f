"""Installing, upgrading and going back, by the blocks of docs/operations/install.md and upgrade.md."""

import os
import shutil
import site
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.harness.documents import ROOT, Document
from tests.production.operations.tools import adapted, run_block
from tests.production.operations.units import DEPLOY

pytestmark = pytest.mark.slow

UPGRADE = Document("operations/upgrade.md")

# pip takes what it has to build with, and what there is besides, from this Python: no registry is asked.
OFFLINE = {"PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "false", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the first block makes of a copy of this checkout: a release's folder."""
    checkout = tmp_path_factory.mktemp("checkout")
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, checkout)
    for name in ("webrtc_events", "handlers", "spec", "deploy", "examples", "tests/data/calls"):
        shutil.copytree(ROOT / name, checkout / name, symlinks=True)
    block = Document("operations/install.md").block("Install")
    lines = block.splitlines()
    assert lines[0] == "python3 -m venv build/venv"
    run_block(adapted(lines[0], {"python3": sys.executable}), checkout)
    see_packages(checkout / "build" / "venv")
    run_block("\n".join(lines[1:]), checkout, **OFFLINE)
    return checkout / "build" / "release"


def see_packages(environment: Path) -> None:
    """Lets a virtual environment see what this one has, in the place of what pip would fetch."""
    (folder,) = environment.glob("lib/python*/site-packages")
    (folder / "packages-of-the-tests.pth").write_text("\n".join(site.getsitepackages()))


class Host:
    """A machine below a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.opt = root / "opt" / "webrtc-events"
        for name in ("opt", "etc", "home"):
            (root / name).mkdir(parents=True)
        for name, line in (
            ("passwd", "root:x:0:0:::"),
            ("group", "root:x:0:"),
            ("shadow", ""),
            ("gshadow", ""),
        ):
            (root / "etc" / name).write_text(f"{line}\n" if line else "")

    def run(self, block: str, folder: Path, changes: Mapping[str, str] | None = None) -> str:
        """Without the lines for systemd, which does not run here."""
        text = "\n".join(line for line in block.splitlines() if not line.startswith("systemctl "))
        here = {"/opt/webrtc-events": str(self.opt)}
        before, pip, after = text.partition("bin/pip install --no-index --find-links . webrtc-events\n")
        if not pip:
            return run_block(adapted(text, here), folder)
        release = before.splitlines()[0]
        run_block(
            adapted(before + pip, here | {"python3": sys.executable, **(changes or {})}), folder, **OFFLINE
        )
        see_packages(self.opt / f"venv-{release.removeprefix('RELEASE=')}")
        return run_block(adapted(f"{release}\n{after}", here), folder)

    def version(self) -> str:
        return run_block(
            f"{self.root}/opt/webrtc-events/venv/bin/webrtc-events --version", self.root
        ).split()[-1]


def test_it_is_installed_upgraded_and_taken_back(
    collected: Path, former_wheel: Path, tmp_path: Path, document: Document
) -> None:
    (new,) = collected.glob("webrtc_events-*.whl")
    shipped = sorted(path.name for path in (collected / "deploy").iterdir())
    assert shipped == sorted(path.name for path in DEPLOY.iterdir())

    host = Host(tmp_path / "host")
    former = tmp_path / "former"
    former.mkdir()
    shutil.copy(former_wheel, former)
    install = document.block("Install", 1)
    user = next(line for line in install.splitlines() if line.startswith("useradd "))
    # Without being root, no user can be made, wherever it is written to.
    as_root = os.geteuid() == 0
    made = f"useradd --prefix {host.root} {user.removeprefix('useradd ')}" if as_root else "true"
    host.run(install, former, {user: made})
    assert host.version() == version_of(former_wheel)
    if as_root:
        (line,) = [line for line in (host.root / "etc/passwd").read_text().splitlines() if "webrtc" in line]
        name, *_, home, shell = line.split(":")
        assert (name, home, shell) == ("webrtc-events", "/nonexistent", "/usr/sbin/nologin")
    # The service's user can read what root installs, whatever root's umask is.
    assert (host.opt / "venv" / "bin" / "webrtc-events").stat().st_mode & 0o005 == 0o005

    host.run(UPGRADE.block("Upgrade, and back"), collected)
    assert host.version() == version_of(new)
    host.run(UPGRADE.block("Upgrade, and back", 1), tmp_path)
    assert host.version() == version_of(former_wheel)


def version_of(wheel: Path) -> str:
    return wheel.name.split("-")[1]


def test_the_blocks_name_releases_in_one_order(document: Document) -> None:
    first, second = (
        block.splitlines()[0].removeprefix("RELEASE=")
        for block in (document.block("Install", 1), UPGRADE.block("Upgrade, and back"))
    )
    assert [int(part) for part in first.split(".")] < [int(part) for part in second.split(".")]
    assert f"venv-{first} " in UPGRADE.block("Upgrade, and back", 1)
