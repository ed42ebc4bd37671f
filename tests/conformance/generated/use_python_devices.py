"""Subscribes to a device, renews, lists by page and deletes: a client of 0.3 by openapi-python-client."""

import datetime
import json
import os
from uuid import UUID

from generated_client import AuthenticatedClient
from generated_client.api.subscriptions import (
    create_notification_channel_subscription as create,
)
from generated_client.api.subscriptions import (
    delete_notification_channel_subscription as delete,
)
from generated_client.api.subscriptions import (
    retrieve_notification_channel_subscription as get,
)
from generated_client.api.subscriptions import (
    retrieve_notification_channel_subscription_list as list_all,
)
from generated_client.api.subscriptions import (
    update_notification_channel_subscription as update,
)
from generated_client.models import (
    Config,
    Protocol,
    Subscription,
    SubscriptionEventType,
    SubscriptionRequest,
    SubscriptionUpdateConfig,
    SubscriptionUpdateRequest,
    WebrtcSubscriptionDetail,
)

DEVICE = UUID("7d444840-9dc0-11d1-b245-5ffdce74fad2")
client = AuthenticatedClient(
    base_url=f"{os.environ['API']}/webrtc-events-subscriptions/v0.3rc1", token=os.environ["TOKEN"]
)
request = SubscriptionRequest(
    protocol=Protocol.HTTP,
    sink=f"{os.environ['SINK']}/generated",
    types=list(SubscriptionEventType),
    config=Config(subscription_detail=WebrtcSubscriptionDetail(device_id=DEVICE), subscription_max_events=5),
)
# What the schema of the protocol adds: the generator has no type that joins the two.
request["protocolSettings"] = {"headers": {"x-tenant": "blue"}}
later = datetime.datetime(2096, 2, 29, 12, tzinfo=datetime.UTC)
renewal = SubscriptionUpdateRequest(config=SubscriptionUpdateConfig(subscription_expire_time=later))

with client:
    created = create.sync_detailed(client=client, body=request)
    made = created.parsed
    assert isinstance(made, Subscription), made
    renewed = update.sync(made.id, client=client, body=renewal)
    assert isinstance(renewed, Subscription), renewed
    page = list_all.sync_detailed(client=client, page=1, per_page=1)
    listed = page.parsed
    assert isinstance(listed, list), listed
    found = get.sync(made.id, client=client)
    assert isinstance(found, Subscription), found
    deleted = delete.sync_detailed(made.id, client=client)
    missing = get.sync(subscription_id="nothing-11", client=client)
    assert missing is not None
    assert not isinstance(missing, Subscription)

print(
    json.dumps(
        {
            "created": created.status_code,
            "found": str(found.config.subscription_detail.device_id),
            "types": len(found.types),
            "status": str(found.status),
            "settings": found["protocolSettings"],
            "renewed": renewed.expires_at == later,
            "page": len(listed),
            "count": page.headers["X-Total-Count"],
            "deleted": deleted.status_code,
            "missing": str(missing.code),
        }
    )
)
