"""What is too large is found, and nothing else."""

from tests.house.sizes import MAX_CLASS_LINES, MAX_FILE_LINES, MAX_FUNCTION_LINES, modules, too_large


def function(lines: int, indent: str = "") -> str:
    return f"{indent}def f():\n" + f"{indent}    pass\n" * (lines - 1)


def places(source: str) -> list[str]:
    return [fault.place for fault in too_large(source, "m.py")]


def test_a_function_of_the_limit_is_no_fault() -> None:
    assert places(function(MAX_FUNCTION_LINES)) == []


def test_a_longer_function_is_named_with_its_line() -> None:
    assert places("x = 1\n" + function(MAX_FUNCTION_LINES + 1)) == ["m.py:2 f"]


def test_a_method_is_a_function() -> None:
    assert places("class C:\n" + function(MAX_FUNCTION_LINES + 1, "    ")) == ["m.py:2 f"]


def test_a_class_is_measured_whole() -> None:
    methods = function(MAX_FUNCTION_LINES, "    ") * (MAX_CLASS_LINES // MAX_FUNCTION_LINES)
    assert places("class C:\n" + methods) == ["m.py:1 C"]


def test_a_file_is_measured_whole() -> None:
    assert places("x = 1\n" * MAX_FILE_LINES) == []
    assert places("x = 1\n" * (MAX_FILE_LINES + 1)) == ["m.py"]


def test_every_room_is_looked_at_once_and_generated_types_are_not() -> None:
    names = [path.as_posix() for path in modules()]
    assert len(names) == len(set(names)) > 100
    assert any(name.endswith("handlers/webrtc_events.py") for name in names)
    assert any(name.endswith("tests/house/sizes.py") for name in names)
    assert any(name.endswith("bench/sinks.py") for name in names)
    assert not any(name.endswith("_events_types.py") for name in names)
