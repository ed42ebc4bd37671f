"""The list of the contract that follows, page by page."""

import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urljoin

import pytest

from tests.api.conftest import NEXT, PUBLIC, Api, assert_error, device_subscription, subscription_request
from webrtc_events.contract.documents import load_subscriptions

LIST = f"{NEXT}/subscriptions"
ANSWER = load_subscriptions().operations["retrieveNotificationChannelSubscriptionList"].responses["200"]


def of_device(number: int) -> dict[str, Any]:
    return {"subscriptionDetail": {"deviceId": str(uuid.UUID(int=number))}}


def pages(api: Api, path: str) -> Iterator[Any]:
    """From one to the next, as the header leads."""
    while path:
        answer = api("GET", path)
        assert answer.status_code == 200, answer.text
        yield answer
        found = re.search(r'<([^>]*)>; rel="next"', answer.headers["Link"])
        path = urljoin(path, found[1]) if found else ""


@pytest.mark.parametrize(("count", "size"), [(0, 5), (1, 1), (5, 5), (7, 3), (12, 100)])
def test_a_list_is_read_page_by_page(both: Api, count: int, size: int) -> None:
    ids = [device_subscription(both)["id"] for _ in range(count)]
    both("POST", f"{PUBLIC}/subscriptions", json=subscription_request())
    answers = list(pages(both, f"{LIST}?perPage={size}"))
    assert len(answers) == max(1, -(-count // size))
    assert [resource["id"] for answer in answers for resource in answer.json()] == ids
    assert all(len(answer.json()) <= size for answer in answers)
    assert {answer.headers["X-Total-Count"] for answer in answers} == {str(count)}
    assert all(ANSWER["application/json"].is_valid(answer.json()) for answer in answers)


def test_a_page_says_where_the_others_are(both: Api) -> None:
    for _ in range(5):
        device_subscription(both)
    middle = both("GET", f"{LIST}?page=2&perPage=2")
    assert len(middle.json()) == 2
    assert middle.headers["Link"] == (
        '<?page=1&perPage=2>; rel="first", <?page=1&perPage=2>; rel="prev", '
        '<?page=3&perPage=2>; rel="next", <?page=3&perPage=2>; rel="last"'
    )
    behind = both("GET", f"{LIST}?page=9&perPage=2")
    assert (behind.status_code, behind.json()) == (200, [])
    assert behind.headers["X-Total-Count"] == "5"
    assert '<?page=3&perPage=2>; rel="prev"' in behind.headers["Link"]
    assert 'rel="next"' not in behind.headers["Link"]


def test_without_parameters_it_is_as_much_as_camara_s_document_allows(both: Api) -> None:
    # A device has no more subscriptions than its quota.
    ids = [device_subscription(both, config=of_device(number // 40))["id"] for number in range(103)]
    answer = both("GET", LIST)
    assert [resource["id"] for resource in answer.json()] == ids[:100]
    assert answer.headers["X-Total-Count"] == "103"
    assert '<?page=2&perPage=100>; rel="next"' in answer.headers["Link"]


@pytest.mark.parametrize(
    "query",
    [
        *("page=0", "page=-1", "page=x", "page=", "page=1.0", "page=%31%00", "page=%EF%BC%92"),
        *("page=99999999999", "page=" + "9" * 400, "page=1&page=2"),
        *("perPage=0", "perPage=101", "perPage=1e2", "perPage=%2B5"),
    ],
)
def test_a_page_that_cannot_be_is_refused(both: Api, query: str) -> None:
    message = assert_error(both("GET", f"{LIST}?{query}"), 400, "INVALID_ARGUMENT")
    assert message.startswith(query.partition("=")[0] + ":")


def test_parameters_that_are_not_known_are_not_looked_at(both: Api) -> None:
    resource = device_subscription(both)
    answer = both("GET", f"{LIST}?page=1&sort=name&sort=id&%FF=%FF&perPage=3&")
    assert answer.json() == [resource]


def test_the_list_of_the_version_before_stays_whole(both: Api) -> None:
    answer = both("GET", f"{PUBLIC}/subscriptions?page=7&perPage=x")
    assert answer.status_code == 200
    assert "X-Total-Count" not in answer.headers
    assert "Link" not in answer.headers


def test_pages_in_a_browser_may_read_the_headers_of_a_page(api_with: Callable[..., Api]) -> None:
    api = api_with(next=True, cors_origins=("https://app.example",))
    answer = api("GET", LIST, headers={"Origin": "https://app.example"})
    exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
    assert {"X-Total-Count", "Link", "x-correlator"} <= set(exposed)
