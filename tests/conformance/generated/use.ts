// Creates, lists and deletes a subscription with openapi-fetch; test_typescript.py writes public.d.ts beside it.

import createClient from "openapi-fetch";

import type { components, paths } from "./public.d.ts";

declare const process: { env: Record<string, string | undefined> };

const { API = "", TOKEN = "", SINK = "" } = process.env;
const client = createClient<paths>({
  baseUrl: `${API}/webrtc-events/v0.2`,
  headers: { Authorization: `Bearer ${TOKEN}` },
});

// The type by its protocol: SubscriptionRequest alone has no protocolSettings.
const body: components["schemas"]["HTTPSubscriptionRequest"] = {
  protocol: "HTTP",
  sink: `${SINK}/generated`,
  types: ["org.camaraproject.webrtc-events.v0.session-invitation"],
  config: { subscriptionDetail: { registrationId: "generated" }, subscriptionMaxEvents: 5 },
  protocolSettings: { headers: { "x-tenant": "blue" } },
};
const created = await client.POST("/subscriptions", { body });
if (created.data === undefined || created.data.id === undefined) throw new Error(JSON.stringify(created.error));
const subscriptionId: string = created.data.id;

const listed = await client.GET("/subscriptions");
const found = listed.data?.find((subscription) => subscription.id === subscriptionId);

const params = { path: { subscriptionId } };
const deleted = await client.DELETE("/subscriptions/{subscriptionId}", { params });

const missing = await client.GET("/subscriptions/{subscriptionId}", {
  params: { path: { subscriptionId: "nothing-11" } },
});

console.log(
  JSON.stringify({
    created: created.response.status,
    found: found?.config.subscriptionDetail.registrationId,
    status: found?.status,
    deleted: deleted.response.status,
    missing: missing.error?.code,
  }),
);
