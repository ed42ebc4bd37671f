"""Sets of ports, compared with sets of numbers."""

from hypothesis import given
from hypothesis import strategies as st

from webrtc_events.core.port_set import PortSet

PORTS = st.integers(1, 40)
SPANS = st.lists(PORTS | st.tuples(PORTS, PORTS).map(lambda pair: (min(pair), max(pair))), max_size=8)


@given(SPANS)
def test_it_has_the_ports_of_its_ranges_and_no_others(spans: list[int | tuple[int, int]]) -> None:
    expected: set[int] = set()
    for span in spans:
        first, last = (span, span) if isinstance(span, int) else span
        expected.update(range(first, last + 1))
    found = PortSet.of(*spans)
    assert {port for port in range(42) if port in found} == expected
    assert found == PortSet.of(*expected)


def test_it_is_written_as_ranges() -> None:
    assert str(PortSet.of(443, (2000, 2002), 2003, 1024)) == "443, 1024, 2000-2003"
