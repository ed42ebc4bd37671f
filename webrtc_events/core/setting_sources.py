"""Where the text of each setting comes from: environment, secret's file, file of settings, default.

The first that has it wins:

    NAME, or NAME_FILE with the path of a file that holds it      environment; both is an error
    a file NAME in $CREDENTIALS_DIRECTORY                         systemd's LoadCredential=
    name, or name_file                                            the file of settings; both is an error
    the default

NAME is the setting's name in upper case with the prefix WEBRTC_EVENTS_. Those of OpenTelemetry lack it;
other variables that begin with OTEL_ are not read here. WEBRTC_EVENTS_CONFIG names the file of settings.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Final

from webrtc_events.core.setting_fields import OPEN_TELEMETRY, PREFIX, variable_of
from webrtc_events.core.setting_files import read_secret
from webrtc_events.core.settings_file import SettingsFile, read_settings_file

__all__ = [
    "CONFIG",
    "CREDENTIALS",
    "PREFIX",
    "Kind",
    "Origin",
    "SettingText",
    "SettingTexts",
    "read_sources",
]

CONFIG: Final = f"{PREFIX}CONFIG"
CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"
_FILE: Final = "_FILE"

# Read by the command line before there are settings, see cli/options.py.
_ELSEWHERE = frozenset({"data_dir", "config"})
# Of a file of settings so many are named, each with what may have been meant.
_MAX_UNKNOWN: Final = 20
# What Kubernetes gives every container for a Service called webrtc-events.
_SERVICE_LINK = re.compile(r"SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?")


class Origin(Enum):
    """`LOCAL`: `serve` chose it, since nobody gave it."""

    DEFAULT = "default"
    ENVIRONMENT = "environment"
    SECRET_FILE = "secret file"  # noqa: S105 (its name)
    CONFIG_FILE = "file"
    LOCAL = "serve"


class Kind(Enum):
    """What a setting may be in a file of settings, besides text."""

    VALUE = "one value"
    LIST = "a list"
    SWITCH = "on or off"


@dataclass(frozen=True, slots=True)
class SettingText:
    """`place` says where it stands, for a table; `named` is the setting in a message, with its place."""

    text: str = field(repr=False)
    origin: Origin
    place: str
    named: str


SettingTexts = Mapping[str, SettingText]
"""By the names of settings, in lower case; those that were given."""


def read_sources(environ: Mapping[str, str], known: Mapping[str, Kind]) -> tuple[SettingTexts, list[str]]:
    """The texts that are given for `known` settings, and what is wrong with where they come from."""
    reader = _Sources(environ, known)
    reader.read()
    return reader.texts, reader.faults


class _Sources:
    def __init__(self, environ: Mapping[str, str], known: Mapping[str, Kind]) -> None:
        self.texts: dict[str, SettingText] = {}
        self.faults: list[str] = []
        self._environ = environ
        self._known = known

    def read(self) -> None:
        self._read_environment()
        self._read_credentials()
        self._read_config()
        self._leave_to_others()

    def _leave_to_others(self) -> None:
        """Without a collector, what a platform sets for OpenTelemetry everywhere is for other programs."""
        if "otel_exporter_otlp_endpoint" not in self.texts:
            self.texts = {
                name: text
                for name, text in self.texts.items()
                if not name.startswith(OPEN_TELEMETRY) or text.origin is not Origin.ENVIRONMENT
            }

    def _read_environment(self) -> None:
        for variable in sorted(name for name in self._environ if name.startswith(PREFIX)):
            name = variable.removeprefix(PREFIX).lower()
            is_own = variable == variable.upper() and not name.startswith(OPEN_TELEMETRY)
            if not is_own or not self._is_known(name):
                self.faults.append(f"{variable} is not a setting{self._hint(name, variable_of)}")
        for name in self._known:
            variable = variable_of(name)
            path = self._environ.get(variable + _FILE)
            if path is None:
                text = self._environ.get(variable)
                # OpenTelemetry's specification: one that is empty is not set.
                if text is not None and (text or not name.startswith(OPEN_TELEMETRY)):
                    self.texts[name] = SettingText(text, Origin.ENVIRONMENT, "environment", variable)
            elif variable in self._environ:
                self.faults.append(f"{variable} and {variable}{_FILE} are both set: keep one of them")
            else:
                self._read_secret(name, path, f"{variable}{_FILE}")

    def _read_credentials(self) -> None:
        directory = self._environ.get(CREDENTIALS)
        if not directory:
            return
        names = {variable_of(name): name for name in self._known}
        try:
            files = sorted(
                path
                for path in Path(directory).iterdir()
                if path.name.startswith(PREFIX) or path.name in names
            )
        except OSError as error:
            self.faults.append(f"{CREDENTIALS}: {directory} cannot be read: {error.strerror}")
            return
        for path in files:
            name = names.get(path.name)
            if name is None:
                hint = self._hint(path.name.removeprefix(PREFIX), variable_of, self._known)
                self.faults.append(f"{path}: {path.name} is not a setting{hint}")
            elif name not in self.texts:
                self._read_secret(name, str(path), path.name)

    def _read_config(self) -> None:
        given = self._environ.get(CONFIG)
        if not given:
            return
        try:
            file = read_settings_file(Path(given))
        except ValueError as error:
            self.faults.append(f"{error} (--config or {CONFIG} names it)")
            return
        unknown = 0
        for name in file.settings:
            if name in _ELSEWHERE:
                self.faults.append(
                    f"{file.place(name)}: {name} has no place in a file: set {variable_of(name)}"
                )
            elif not self._is_known(name):
                unknown += 1
                if unknown <= _MAX_UNKNOWN:
                    hint = self._hint(name.lower().removeprefix(PREFIX.lower()), str)
                    self.faults.append(f"{file.place(name)}: {name} is not a setting{hint}")
        if unknown > _MAX_UNKNOWN:
            more = f"{unknown - _MAX_UNKNOWN:,} more names are no settings"
            self.faults.append(f"{file.path}: {more}: is it the file that was meant?")
        for name in self._known:
            self._read_key(file, name)

    def _read_key(self, file: SettingsFile, name: str) -> None:
        path_key = name + _FILE.lower()
        if name in file.settings and path_key in file.settings:
            self.faults.append(
                f"{file.place(path_key)}: {name} and {path_key} are both set: keep one of them"
            )
            return
        key = name if name in file.settings else path_key
        if key not in file.settings:
            return
        place = file.place(key)
        kind = self._known[name] if key == name else Kind.VALUE
        try:
            text = _text(file.settings[key], kind)
        except ValueError as error:
            self.faults.append(f"{place}: {key} {error}")
            return
        if name in self.texts:
            return
        if key == path_key:
            self._read_secret(name, text, f"{place}: {key}", relative_to=file.path.parent)
        else:
            self.texts[name] = SettingText(text, Origin.CONFIG_FILE, place, f"{place}: {name}")

    def _read_secret(self, name: str, path: str, named_by: str, relative_to: Path | None = None) -> None:
        """`named_by`: what names the file."""
        if not path:
            self.faults.append(f"{named_by} must name a file")
            return
        file = Path(path) if relative_to is None else relative_to / path
        try:
            text = read_secret(file)
        except ValueError as error:
            # Somebody may have written the secret in place of the file's name.
            shown = str(file) if path.isprintable() and ("/" in path or file.exists()) else "its file"
            self.faults.append(f"{named_by}: {shown}: {error}")
            return
        self.texts[name] = SettingText(text, Origin.SECRET_FILE, str(file), f"{file}: {variable_of(name)}")

    def _is_known(self, name: str) -> bool:
        return name in _ELSEWHERE or name in self._known or name.removesuffix(_FILE.lower()) in self._known

    def _hint(self, name: str, spelled: Callable[[str], str], names: Iterable[str] | None = None) -> str:
        """What may have been meant."""
        if names is None:
            if _SERVICE_LINK.fullmatch(name.upper()):
                return (
                    ": Kubernetes sets it for a Service called webrtc-events; use enableServiceLinks: false"
                )
            names = [*self._known, *(name + _FILE.lower() for name in self._known), *_ELSEWHERE]
        import difflib

        nearest = difflib.get_close_matches(name.lower(), list(names), n=1)
        return f"; did you mean {spelled(nearest[0])}?" if nearest else ""


def _text(value: Any, kind: Kind) -> str:
    """A value of TOML as the environment would have it.

    Raises:
        ValueError: says what it must be.
    """
    match value:
        case bool():
            return ("on" if value else "off") if kind is Kind.SWITCH else str(value).lower()
        case int() | str():
            return str(value)
        case list() if kind is Kind.LIST:
            return ",".join(_items(value))
        case list():
            raise ValueError("must be one value, not a list")
        case dict():
            raise ValueError("must be one value: the file has no tables")
        case _:
            raise ValueError("must be text in double quotes, a whole number, true or false")


def _items(values: list[Any]) -> Iterator[str]:
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError("must be a list of texts or whole numbers")  # noqa: TRY004 (as all faults)
        if "," in str(value):
            raise ValueError("must have no comma in an item of its list")
        yield str(value)
