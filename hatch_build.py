"""Compiles the delivery path with mypyc, where a wheel is built with HATCH_BUILD_HOOKS_ENABLE=1.

pyproject.toml lists the modules. docs/decisions/0027-compiled-delivery.md says why, and why not by default.
"""

import os
import tempfile
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# Inside the package, since nothing else of it may land in site-packages. mypyc adds `__mypyc`.
_LIBRARY = "webrtc_events.compiled"
# Not what pyproject.toml has for those who check the types: what is imported and not compiled has any type.
_MYPY_OPTIONS = (
    "--config-file=",
    "--ignore-missing-imports",
    "--follow-imports=silent",
    # The same code wherever it is built: else what happens to be installed beside pip would decide on it.
    "--no-site-packages",
    f"--cache-dir={os.devnull}",
)


class CompileHook(BuildHookInterface):
    """Adds a binary for each module; its text stays in the wheel, for tracebacks and other interpreters."""

    _folder: tempfile.TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            self.app.display_warning("editable installations are not compiled: what is edited has to run")
            return
        # Not in the tree: there Python would prefer a binary to the text that somebody edits.
        self._folder = tempfile.TemporaryDirectory(prefix="webrtc-events-")
        built = Path(self._folder.name) / "lib"
        _compile(Path(self.root), self.config["modules"], Path(self._folder.name) / "c", built)
        for binary in built.rglob("*.*"):
            build_data["force_include"][str(binary)] = str(binary.relative_to(built))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, *_: Any) -> None:
        if self._folder is not None:
            self._folder.cleanup()


def _compile(root: Path, modules: Sequence[str], generated: Path, built: Path) -> None:
    """Writes C for the modules into `generated`, and binaries into `built`.

    Raises:
        RuntimeError: they do not compile, or there is no compiler.
    """
    # Installed for a build that compiles only.
    from mypyc.build import mypycify
    from setuptools import Distribution
    from setuptools.errors import BaseError, CCompilerError

    generated.mkdir()
    with chdir(root):
        try:
            extensions = mypycify(
                [*_MYPY_OPTIONS, *modules], debug_level="0", target_dir=str(generated), group_name=_LIBRARY
            )
        except SystemExit as error:
            raise RuntimeError("mypyc refuses the delivery path, for what it says above") from error
        command = Distribution({"ext_modules": extensions}).get_command_obj("build_ext")
        command.build_lib = str(built)
        command.build_temp = str(generated)
        command.parallel = os.cpu_count()
        try:
            command.ensure_finalized()
            command.run()
        except (BaseError, CCompilerError) as error:
            raise RuntimeError(
                f"the delivery path is not compiled: {error}\n"
                "It takes a C compiler and the headers of Python (Debian: gcc, python3-dev). "
                "Without HATCH_BUILD_HOOKS_ENABLE=1 nothing is compiled."
            ) from error
