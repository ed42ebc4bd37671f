"""What is added to a module of Python goes where a person would put it."""

import pytest

from webrtc_events.stubs.edits import add_export, add_import, append


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "from m import B\n"),
        ("x = 1\n", "from m import B\n\nx = 1\n"),
        ("# licence\n\nx = 1\n", "# licence\n\nfrom m import B\n\nx = 1\n"),
        ("# why\nx = 1\n", "from m import B\n\n# why\nx = 1\n"),
        ('"""Doc."""', '"""Doc."""\n\nfrom m import B\n'),
        ('"""Doc."""\n\n\ndef f(): ...\n', '"""Doc."""\n\nfrom m import B\n\n\ndef f(): ...\n'),
        ("import os\n", "import os\n\nfrom m import B\n"),
        ("import webrtc_events\n", "from m import B\n\nimport webrtc_events\n"),
        ("from n import C\n", "from m import B\nfrom n import C\n"),
        ("import z\n# n\nfrom n import D\n", "import z\nfrom m import B\n# n\nfrom n import D\n"),
        ("# file\nfrom n import C\n", "# file\nfrom m import B\nfrom n import C\n"),
        ("import os\n\n# why\nfrom n import C\n", "import os\n\nfrom m import B\n# why\nfrom n import C\n"),
        ("from m import A, C\n", "from m import A, B, C\n"),
        ("from m import A  # why\n", "from m import A, B  # why\n"),
        ("from m import A as C\n", "from m import A as C\nfrom m import B\n"),
        ("from m import (\n    # c\n    C,\n)\n", "from m import (\n    B,\n    # c\n    C,\n)\n"),
        ("from m import (\n    A,  # a\n)\n", "from m import (\n    A,  # a\n    B,\n)\n"),
        ("from m import (\n    A\n)\n", "from m import (\n    A,\n    B\n)\n"),
        ("from m import A\nfrom m import B\n", "from m import A\nfrom m import B\n"),
        (
            f"from m import A, C{'c' * 30}, D{'d' * 35}\n",
            f"from m import (\n    A,\n    B,\n    C{'c' * 30},\n    D{'d' * 35},\n)\n",
        ),
    ],
)  # fmt: skip
def test_import_is_added_in_its_place(before: str, after: str) -> None:
    assert add_import(before, "m", "B") == after
    assert add_import(after, "m", "B") == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("__all__ = []\n", '__all__ = ["f2"]\n'),
        ("__all__ = ()\n", '__all__ = ("f2",)\n'),
        ('__all__ = ["A", "f1", "f10"]\n', '__all__ = ["A", "f1", "f2", "f10"]\n'),
        ('é = 1; __all__ = ["é", "z"]\n', 'é = 1; __all__ = ["f2", "é", "z"]\n'),
        ('__all__ = [\n    "z",  # z\n]\n', '__all__ = [\n    "f2",\n    "z",  # z\n]\n'),
        ('__all__ = ["a" + "b"]\n', '__all__ = ["a" + "b"]\n'),
        ("__all__ = names()\n", "__all__ = names()\n"),
        ("x = 1\n", "x = 1\n"),
    ],
)
def test_export_is_added_in_its_place(before: str, after: str) -> None:
    assert add_export(before, "f2") == after


def test_functions_are_appended_after_two_lines() -> None:
    assert append("x = 1", ["def f(): ...\n", "def g(): ...\n"]) == (
        "x = 1\n\n\ndef f(): ...\n\n\ndef g(): ...\n"
    )
    assert append("x = 1\n\n\n\n\n", ["def f(): ...\n"]) == "x = 1\n\n\n\n\ndef f(): ...\n"
