"""The image, built from packages of Debian, and the service that runs from it.

Buildah isolates with chroot alone, which needs no rights but root's; the network is the machine's.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.chaos.processes import Process
from tests.deploy.tools import run
from tests.harness.documents import ROOT
from tests.harness.issuer import Issuer, SigningKeyPair
from tests.harness.sinks import RecordingSink
from tests.harness.valkeys import ValkeyServer
from tests.production.service import Service

BUILDAH = {"BUILDAH_ISOLATION": "chroot"}
BASE = "localhost/webrtc-events-test-base"
BUILD_BASE = f"{BASE}-with-compiler"
IMAGE = "localhost/webrtc-events-test"
COMPILED = f"{IMAGE}-compiled"
# So that pip finds what it finds on this machine.
_MOUNTED = ("/etc/pip.conf", "/etc/ssl/certs")


def buildah(*command: str | Path, cwd: Path = ROOT) -> str:
    done = run("buildah", *command, cwd=cwd, **BUILDAH)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for Debian's packages; the images go when the tests end."""
    if os.geteuid() != 0:
        pytest.skip("an image is built by root, or where user namespaces are to be had")
    yield tmp_path_factory.mktemp("image")
    for name in (COMPILED, IMAGE, BUILD_BASE, BASE):
        run("buildah", "rmi", "--force", name, **BUILDAH)


@pytest.fixture(scope="module")
def base(storage: Path) -> str:
    """Debian with Python as an image, as no registry of images is needed for a test."""
    file = storage / "packages.tar"
    include = "--include=ca-certificates,python3-venv"
    # Who syncs each file of each package waits for the disk most of the time.
    quick = "--dpkgopt=force-unsafe-io"
    done = run("mmdebstrap", "--variant=minbase", quick, include, "bookworm", file)
    assert done.returncode == 0, done.stderr[-3000:]
    container = buildah("from", "scratch")
    buildah("add", "--quiet", container, file, "/")
    buildah("commit", "--quiet", "--rm", container, BASE)
    file.unlink()
    return BASE


@pytest.fixture(scope="module")
def build_base(base: str) -> str:
    """The same with a compiler."""
    container = buildah("from", base)
    apt = ("run", container, "--", "apt-get", "--quiet", "--option=DPkg::Options::=--force-unsafe-io")
    buildah(*apt, "update")
    buildah(*apt, "install", "--yes", "--no-install-recommends", "gcc", "libc6-dev", "python3-dev")
    buildah("commit", "--quiet", "--rm", container, BUILD_BASE)
    return BUILD_BASE


def built(image: str, **arguments: str) -> Iterator[str]:
    """A container of the image, by its name; nothing runs in it yet."""
    mounts = [f"--volume={path}:{path}:ro" for path in _MOUNTED if Path(path).exists()]
    given = [part for name, value in arguments.items() for part in ("--build-arg", f"{name}={value}")]
    buildah("build", "--quiet", *mounts, *given, "--tag", image, ".")
    name = buildah("from", image)
    yield name
    run("buildah", "rm", name, **BUILDAH)


@pytest.fixture(scope="module")
def container(base: str) -> Iterator[str]:
    yield from built(IMAGE, BASE=base)


@pytest.fixture(scope="module")
def compiled_container(base: str, build_base: str) -> Iterator[str]:
    yield from built(COMPILED, BASE=base, BUILD_BASE=build_base, COMPILED="1")


def test_the_image_is_what_the_containerfile_says(container: str) -> None:
    inspected = buildah("inspect", "--format", "{{.OCIv1.Config.User}} {{.OCIv1.Config.StopSignal}}", IMAGE)
    assert inspected == "10001:10001 SIGTERM"
    assert buildah("run", container, "--", "webrtc-events", "--version").startswith("webrtc-events")
    # Nothing that was only there to build it.
    left = buildah(
        "run", container, "--", "sh", "-c", "ls /src /opt/webrtc-events/bin/pip* 2>/dev/null || true"
    )
    assert left == ""


def test_whoever_runs_it_may_change_nothing_of_it(container: str) -> None:
    assert buildah("run", container, "--", "id", "-u") == "10001"
    # Some folders it may not even read.
    search = "find /opt /usr /etc -xdev -writable -not -type l 2>/dev/null || true"
    found = buildah("run", container, "--", "sh", "-c", search)
    assert found == ""


def test_a_call_goes_through_an_api_and_a_worker_of_the_image(container: str, tmp_path: Path) -> None:
    assert "delivery is not compiled" in log_of_a_worker_after_a_call(container, tmp_path)


def test_delivery_of_the_image_can_be_compiled(compiled_container: str, tmp_path: Path) -> None:
    assert "delivery is compiled" in log_of_a_worker_after_a_call(compiled_container, tmp_path)
    found = buildah("run", compiled_container, "--", "sh", "-c", "command -v gcc cc || true")
    assert found == ""


def log_of_a_worker_after_a_call(container: str, tmp_path: Path) -> str:
    secret = tmp_path / "secret-key"
    secret.write_text("A" * 43 + "\n")
    server = ValkeyServer(tmp_path / "store")
    issuer = Issuer(SigningKeyPair.rsa("k1"))
    with RecordingSink() as sink:
        service = Service(tmp_path, issuer, server.url, sink)
        _run_from(container, service, tmp_path, secret, sink.ca_file)
        try:
            server.start()
            server.wait_ready()
            service.start()
            assert requests.get(f"{service.url}/healthz", timeout=5).status_code == 200
            assert service.ready()[0] == 200
            assert service.subscribe().status_code == 201
            assert service.publish(1).status_code == 202
            sink.wait_for(1, 30)
        finally:
            service.stop()
            server.stop()
            issuer.close()
    return service.worker.output


def _run_from(container: str, service: Service, folder: Path, secret: Path, ca_file: Path) -> None:
    """Both processes from the image, with the secret in a file."""
    port = service.url.rpartition(":")[2]
    environ = service.environ | {
        "WEBRTC_EVENTS_SECRET_KEY_FILE": str(secret),
        "WEB_CONCURRENCY": "2",
        "GUNICORN_CMD_ARGS": f"--bind=127.0.0.1:{port} --worker-tmp-dir=/dev/shm",
    }
    del environ["WEBRTC_EVENTS_SECRET_KEY"]
    for file in (secret, ca_file):
        # Nobody but the user of the image reads them in there.
        file.chmod(0o444)
    options = [f"--env={name}={value}" for name, value in environ.items()]
    options += [f"--volume={file}:{file}:ro" for file in (secret, ca_file)]
    program = shutil.which("buildah")
    assert program is not None
    start = (program, "run", *options, container, "--")
    gunicorn = (
        "gunicorn",
        "--config",
        "python:webrtc_events.gunicorn_conf",
        "webrtc_events.app:create_app()",
    )
    service.api = Process("api", folder, BUILDAH, (*start, *gunicorn))
    service.worker = Process("worker", folder, BUILDAH, (*start, "webrtc-events", "worker"))
