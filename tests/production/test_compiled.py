"""The compiled package: what is in its wheel, and that it delivers as the other does.

mypyc checks types at run time and binds methods early, so tests that put something else in the place of a
part are not for it. The others of what is compiled are, and so is the service as a whole, whose parts fail.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest
from packaging.tags import sys_tags

from tests.chaos.run import Options, Run
from tests.chaos.test_handshake import active
from tests.harness.documents import ROOT
from tests.harness.issuer import Issuer
from tests.harness.valkeys import eventually
from tests.production.compiled import MODULES, compiled_package, environ_with

_BOUND_S = 900
# Of what is compiled, but for what puts stand-ins or patches in the place of a part.
_BEHAVIOUR = (
    "tests/api/test_signed_notifications.py",
    "tests/core/test_log_lines.py",
    "tests/delivery",
    "tests/sinks",
)
_STAND_INS = (
    "tests/delivery/test_recovery.py",
    "tests/delivery/test_task_runner.py",
    "tests/delivery/test_workers_share.py",
)


@pytest.mark.parametrize("path", MODULES)
def test_a_module_that_is_compiled_means_the_same(path: str) -> None:
    """mypyc drops the arguments of a class: a struct with `frozen=True` would not be frozen, nor a key.

    None derives from a class of another library, which a build knows nothing of.
    """
    import_module(path.removesuffix(".py").replace("/", "."))
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    assert [node.name for node in classes if node.keywords] == []
    bases = [base for node in classes for base in node.bases]
    assert [base for base in bases if isinstance(base, ast.Attribute)] == []
    assert {base.id for base in bases if isinstance(base, ast.Name)} & _foreign_names(tree) == set()


def _foreign_names(tree: ast.Module) -> set[str]:
    """What the module imports of others than the standard library and this package."""
    own = sys.stdlib_module_names | {"webrtc_events"}
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return {
        alias.asname or alias.name
        for node in imports
        if (node.module or "").partition(".")[0] not in own
        for alias in node.names
    }


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled_package(tmp_path_factory)


@pytest.mark.slow
def test_the_wheel_is_for_this_interpreter_and_has_the_text_too(package: Path) -> None:
    (wheel,) = package.glob("*.whl")
    assert {wheel.stem.split("-", 2)[2]} <= {str(tag) for tag in sys_tags()}
    assert "none-any" not in wheel.name
    (metadata,) = package.glob("*.dist-info")
    assert "Root-Is-Purelib: false" in (metadata / "WHEEL").read_text("utf-8")
    assert {path.name for path in package.iterdir()} == {"webrtc_events", metadata.name, wheel.name}
    assert (package / "webrtc_events" / "py.typed").exists()
    suffix = EXTENSION_SUFFIXES[0]
    binaries = {str(path.relative_to(package)) for path in package.rglob(f"*{suffix}")}
    library = f"webrtc_events/compiled__mypyc{suffix}"
    assert binaries == {path.removesuffix(".py") + suffix for path in MODULES} | {library}
    assert [path for path in MODULES if not (package / path).exists()] == []


@pytest.mark.slow
def test_what_is_compiled_passes_the_tests_of_the_text(package: Path) -> None:
    """Failing sinks, tokens, rates, signatures, names, TLS, bounds: their tests, on what is compiled."""
    environ = environ_with(package)
    for name in [name for name in environ if name.startswith("PYTEST_")]:
        del environ[name]
    ask = "import webrtc_events.delivery.task_runner as runner; print(runner.__file__)"
    shown = subprocess.run(
        [sys.executable, "-P", "-c", ask], env=environ, check=True, capture_output=True, text=True
    )
    assert shown.stdout.strip().startswith(str(package))
    assert shown.stdout.strip().endswith(EXTENSION_SUFFIXES[0])
    options = ["-q", "-n", "2", "-p", "no:cacheprovider", "-p", "no:schemathesis", "-m", "not slow"]
    # Nothing of the store is compiled: whether it is a cluster makes no difference there.
    options += ["-k", "not cluster"]
    left_out = [f"--ignore={path}" for path in _STAND_INS]
    command = [sys.executable, "-P", "-m", "pytest", *options, *left_out, *_BEHAVIOUR]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=_BOUND_S)
    assert done.returncode == 0, done.stdout[-10_000:]


@pytest.fixture
def run(tmp_path: Path, issuer: Issuer, package: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """A run whose service is the compiled package."""
    monkeypatch.setenv("PYTHONPATH", str(package))
    with Run("compiled", Options(seed=1, events=6_000), tmp_path, issuer, print) as run:
        yield run


@pytest.mark.slow
def test_order_is_kept_and_nothing_is_lost(run: Run) -> None:
    """Sinks fail, ask for later, break off and hang; both workers and the store are killed."""
    service = run.begin(sinks=3, SINK_VALIDATION="on", SINK_VALIDATION_ORIGIN="events.operator.example")
    run.inbox.plan(0, share=0.05, kinds=["500", "cut"], delay_ms=[1, 20])
    run.inbox.plan(1, share=0.02, kinds=["503"], headers=["retry-after: 1"])
    service.start_api()
    workers = [service.start_worker(number) for number in (1, 2)]
    assert "delivery is compiled" in workers[0].output
    channels = run.mixed(run.options.events)
    throttled = run.channels(10, 300)
    run.subscribe(throttled, sink=1)
    hanging = run.channels(3, 30)
    run.subscribe(hanging, sink=2)
    made = run.subscribers
    eventually(lambda: active(run, made) == len(made), "all sinks have agreed", 60, every_s=0.5)
    run.inbox.plan(2, share=0.05, kinds=["never"])
    load = run.publish([*channels, *throttled, *hanging], rate=run.options.events / 8)
    load.wait_accepted(0.3)
    workers[0].kill()
    workers[0].start()
    load.wait_accepted(0.6)
    run.valkey.kill()
    run.valkey.start()
    run.valkey.wait_ready()
    load.wait_accepted(0.8)
    for worker in workers:
        worker.kill()
    for worker in workers:
        worker.start()
    run.finish(failed=3)
