"""Tables: aligned, safe, and in a terminal of any width."""

from collections.abc import Iterator

from webrtc_events.cli.tables import MAX_CELL, labelled, table


def test_columns_are_as_wide_as_what_is_in_them() -> None:
    assert list(table(("A", "BB"), [("1", "2"), ("333", None)], 80)) == ["A    BB", "1    2", "333  -"]


def test_without_rows_there_is_nothing() -> None:
    assert list(table(("A",), [], 80)) == []


def test_a_row_that_is_too_wide_goes_on_in_indented_lines() -> None:
    lines = list(table(("ONE", "TWO", "THREE"), [("a" * 10, "b" * 10, "c" * 10)], 24))
    assert lines == ["ONE         TWO", "    THREE", "aaaaaaaaaa  bbbbbbbbbb", "    cccccccccc"]


def test_a_column_that_is_wider_than_the_terminal_stands_alone() -> None:
    assert list(table(("A", "B"), [("a" * 30, "b")], 20))[2:] == ["a" * 30, "    b"]


def test_cells_are_one_line_of_bounded_length_whatever_is_in_them() -> None:
    _, line = table(("A",), [("x\x1b[1m\n\u202e" + "y" * 1000,)], 10_000)
    assert len(line) == MAX_CELL
    assert line.isprintable()


def test_rows_come_as_they_are_found_once_the_widths_are_known() -> None:
    taken = []

    def rows() -> Iterator[tuple[int]]:
        for number in range(1000):
            taken.append(number)
            yield (number,)

    lines = table(("A",), rows(), 80)
    next(lines)
    assert len(taken) < 100


def test_labels_stand_under_each_other_and_what_is_not_known_is_left_out() -> None:
    assert list(labelled([("a", 1), ("long", "x\ny"), ("no", None)])) == ["a:     1", "long:  x\ufffdy"]
