"""What a client of the service makes of answers that come to several threads at once."""

import threading

from webrtc_events.gateways.service_client import Answered, Refused, _Outlook


class RefusedLate(Refused):
    """Whoever looks at what it is, other than a refusal, is held up until it may go on."""

    asked, go_on = threading.Event(), threading.Event()

    @property
    def __class__(self) -> type[Refused]:
        self.asked.set()
        assert self.go_on.wait(30)
        return Refused


def test_an_answer_that_comes_while_another_is_noted_counts() -> None:
    """Else 8 refusals would say that all are refused, though the service has taken one."""
    outlook = _Outlook()
    late = threading.Thread(target=outlook.noted, args=[RefusedLate("HTTP 403")])
    late.start()
    assert RefusedLate.asked.wait(30)
    taken = threading.Thread(target=outlook.noted, args=[Answered((None,))])
    taken.start()
    # It is noted at once, or once the other is.
    taken.join(0.2)
    RefusedLate.go_on.set()
    late.join()
    taken.join()
    for _ in range(8):
        outlook.noted(Refused("HTTP 403"))
    assert not outlook.is_bad
