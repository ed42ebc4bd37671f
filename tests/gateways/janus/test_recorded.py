"""The recorded calls of Janus are what the adapter makes of what Janus has posted."""

import pytest

from tests.gateways.janus.recorded import RECORDED, file_of, written


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_call_is_what_the_adapter_makes(name: str) -> None:
    assert file_of(name).read_text(encoding="utf-8") == written(name)
