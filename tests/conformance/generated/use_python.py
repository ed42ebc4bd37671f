"""Creates, lists and deletes a subscription with a client by openapi-python-client: `generated_client`."""

import json
import os

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
from generated_client.models import (
    Config,
    Protocol,
    Subscription,
    SubscriptionEventType,
    SubscriptionRequest,
    WebrtcSubscriptionDetail,
)

client = AuthenticatedClient(base_url=f"{os.environ['API']}/webrtc-events/v0.2", token=os.environ["TOKEN"])
request = SubscriptionRequest(
    protocol=Protocol.HTTP,
    sink=f"{os.environ['SINK']}/generated",
    types=[SubscriptionEventType.ORG_CAMARAPROJECT_WEBRTC_EVENTS_V0_SESSION_INVITATION],
    config=Config(
        subscription_detail=WebrtcSubscriptionDetail(registration_id="generated"), subscription_max_events=5
    ),
)
# What the schema of the protocol adds: the generator has no type that joins the two.
request["protocolSettings"] = {"headers": {"x-tenant": "blue"}}

with client:
    created = create.sync_detailed(client=client, body=request)
    made = created.parsed
    assert isinstance(made, Subscription), made
    listed = list_all.sync(client=client)
    assert isinstance(listed, list), listed
    (found,) = [subscription for subscription in listed if subscription.id == made.id]
    deleted = delete.sync_detailed(made.id, client=client)
    missing = get.sync(subscription_id="nothing-11", client=client)
    assert missing is not None
    assert not isinstance(missing, Subscription)

print(
    json.dumps(
        {
            "created": created.status_code,
            "found": found.config.subscription_detail.registration_id,
            "status": str(found.status),
            "settings": found["protocolSettings"],
            "deleted": deleted.status_code,
            "missing": str(missing.code),
        }
    )
)
