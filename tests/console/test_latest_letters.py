"""The latest dead letters of all subscriptions, on one page."""

from flask.testing import FlaskClient

from webrtc_events.core.model import Subscription
from webrtc_events.store.dead_letters import DeadLetterFilter, DeadLetters
from webrtc_events.store.store import Store


def test_each_leads_to_its_subscription(console: FlaskClient, lost: Subscription) -> None:
    answer = console.get("/subscriptions/dead-letters")
    assert answer.status_code == 200
    assert answer.text.count(f'href="/subscriptions/{lost.id}"') == 2
    assert answer.text.index("deadline_exceeded") < answer.text.index("status 400")


def test_personal_data_is_masked(console: FlaskClient, store: Store, lost: Subscription) -> None:
    letters = list(DeadLetters(store).newest_first(DeadLetterFilter(subscription=lost.id)))
    text = console.get("/subscriptions/dead-letters").text
    assert all(letter.registration and letter.registration not in text for letter in letters)
    assert "tel:" not in text


def test_there_may_be_none(console: FlaskClient, store: Store) -> None:
    assert "There are no dead letters." in console.get("/subscriptions/dead-letters").text


def test_other_pages_lead_there(console: FlaskClient, lost: Subscription) -> None:
    for page in ("/subscriptions/", "/overview/"):
        assert 'href="/subscriptions/dead-letters"' in console.get(page).text
