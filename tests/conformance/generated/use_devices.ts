// Subscribes to a device, renews, lists by page and deletes with openapi-fetch; test_typescript.py writes its types.

import createClient from "openapi-fetch";

import type { components, paths } from "./webrtc-events-subscriptions.d.ts";

declare const process: { env: Record<string, string | undefined> };

const { API = "", TOKEN = "", SINK = "" } = process.env;
const client = createClient<paths>({
  baseUrl: `${API}/webrtc-events-subscriptions/v0.3rc1`,
  headers: { Authorization: `Bearer ${TOKEN}` },
});

// The type by its protocol: SubscriptionRequest alone has no protocolSettings.
const body: components["schemas"]["HTTPSubscriptionRequest"] = {
  protocol: "HTTP",
  sink: `${SINK}/generated`,
  types: [
    "org.camaraproject.webrtc-events-subscriptions.v0.session-invitation",
    "org.camaraproject.webrtc-events-subscriptions.v0.session-status",
  ],
  config: { subscriptionDetail: { deviceId: "7d444840-9dc0-11d1-b245-5ffdce74fad2" } },
  protocolSettings: { headers: { "x-tenant": "blue" } },
};
const created = await client.POST("/subscriptions", { body });
if (created.data?.id === undefined) throw new Error(JSON.stringify(created.error));
const subscriptionId: string = created.data.id;
const params = { path: { subscriptionId } };

const renewed = await client.PUT("/subscriptions/{subscriptionId}", {
  params,
  body: { config: { subscriptionExpireTime: "2096-02-29T12:00:00.000Z" } },
});
const listed = await client.GET("/subscriptions", { params: { query: { page: 1, perPage: 1 } } });
const found = await client.GET("/subscriptions/{subscriptionId}", { params });
const deleted = await client.DELETE("/subscriptions/{subscriptionId}", { params });
const missing = await client.GET("/subscriptions/{subscriptionId}", {
  params: { path: { subscriptionId: "nothing-11" } },
});

console.log(
  JSON.stringify({
    created: created.response.status,
    found: found.data?.config.subscriptionDetail.deviceId,
    types: found.data?.types.length,
    status: found.data?.status,
    renewed: renewed.data?.expiresAt,
    page: listed.data?.length,
    count: listed.response.headers.get("X-Total-Count"),
    deleted: deleted.response.status,
    missing: missing.error?.code,
  }),
);
