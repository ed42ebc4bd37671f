"""The Containerfile: linted, and it copies what a wheel consists of."""

import re
import tomllib

from tests.deploy.tools import run
from tests.harness.documents import ROOT

TEXT = (ROOT / "Containerfile").read_text(encoding="utf-8")


def test_the_linter_has_nothing_to_say_of_it() -> None:
    done = run("hadolint", ROOT / "Containerfile")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_it_copies_all_that_the_package_is_made_of() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["packages"], *wheel["force-include"], *project["project"]["license-files"]}
    copied = {
        path for line in re.findall(r"^COPY (?!--from)(.*) \S+$", TEXT, re.MULTILINE) for path in line.split()
    }
    assert needed | {"pyproject.toml", "README.md", "hatch_build.py"} == copied
    # What the builder is not given it cannot copy.
    given = re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(encoding="utf-8"), re.MULTILINE)
    assert copied <= set(given)
