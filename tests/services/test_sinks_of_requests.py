import pytest

from tests.services.subscription_requests import request
from webrtc_events.core.errors import InvalidArgument
from webrtc_events.core.port_set import PortSet
from webrtc_events.services.subscription_requests import SinkRules, SubscriptionTerms
from webrtc_events.sinks.addresses import AddressPolicy


def test_what_one_policy_says_of_a_sink_is_not_said_for_another() -> None:
    asked = request(sink="https://SINK.example:8443/a")
    wide, narrow = AddressPolicy(), AddressPolicy(ports=PortSet.of(443))
    for _ in range(2):
        assert SubscriptionTerms.parse(asked, SinkRules(wide)).sink == "https://sink.example:8443/a"
        with pytest.raises(InvalidArgument, match="ports"):
            SubscriptionTerms.parse(asked, SinkRules(narrow))
