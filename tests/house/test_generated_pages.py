"""docs/reference/ has every command and every error, as the code has them."""

from tests.house import command_table, error_table


def test_the_commands_are_those_of_the_code() -> None:
    """`python -m tests.house.command_table` writes them anew."""
    assert command_table.DOCUMENT.read_text(encoding="utf-8") == command_table.written()


def test_the_errors_are_those_of_the_contracts_and_of_the_code() -> None:
    """`python -m tests.house.error_table` writes them anew."""
    assert error_table.DOCUMENT.read_text(encoding="utf-8") == error_table.written()


def test_what_to_do_is_said_of_each_error_and_of_no_other() -> None:
    assert sorted(error_table.WHAT_TO_DO) == sorted(error_table.errors())
