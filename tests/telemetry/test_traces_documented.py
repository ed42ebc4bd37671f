"""docs/operations/traces.md has every span and every attribute."""

from tests.harness.documents import Document
from webrtc_events.core.trace_settings import TraceSettings
from webrtc_events.telemetry.spans import ATTRIBUTES, SPANS, Attribute

DOCUMENT = Document("operations/traces.md")


def test_the_table_has_every_span() -> None:
    families = (SPANS.REQUEST, SPANS.APPEND, SPANS.CLAIM, SPANS.NOTIFICATION)
    assert DOCUMENT.table("Spans") == [
        [
            f"`{family.name}`",
            family.kind.value,
            family.help,
            ", ".join(f"`{name}`" for name in family.attributes),
        ]
        for family in families
    ]
    # None is forgotten.
    assert {family for name, family in vars(SPANS).items() if name.isupper()} == {*families}


def test_the_table_has_every_attribute_in_order() -> None:
    assert ATTRIBUTES.keys() == set(Attribute)
    expected = [[f"`{attribute.value}`", ATTRIBUTES[attribute]] for attribute in Attribute]
    assert DOCUMENT.table("What a span says") == expected
    used = {
        name
        for family in (SPANS.REQUEST, SPANS.APPEND, SPANS.CLAIM, SPANS.NOTIFICATION)
        for name in family.attributes
    }
    assert used == set(Attribute)


def test_every_sampler_is_explained() -> None:
    parse = TraceSettings.__dataclass_fields__["otel_traces_sampler"].metadata["parse"]
    named = [name.strip("`") for row in DOCUMENT.table("Sampling") for name in row[0].split(", ")]
    assert [parse(name) for name in named] == named
    assert len(named) == 6
