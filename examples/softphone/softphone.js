// A phone that rings in the browser. Its backend would make channel and subscriptions; here the local issuer lends it a token.

const API = document.documentElement.dataset.api ?? location.origin;
const TYPE = "org.camaraproject.webrtc-events.v0.";
const OVER = ["Terminated", "SessionCancelled", "Declined", "Failed", "NoAnswer", "NotReachable", "Busy"];
const at = (selector, root = document) => root.querySelector(selector);

// All that must survive a reload, in one piece: what was received, and the cursor up to which.
let phone = JSON.parse(localStorage.getItem("softphone")) ?? { registration: crypto.randomUUID().replaceAll("-", ""), calls: {} };
const save = () => localStorage.setItem("softphone", JSON.stringify(phone));

async function request(method, url, token, body) {
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
  const answer = await fetch(API + url, { method, headers, body: body && JSON.stringify(body) });
  if (!answer.ok) throw Object.assign(new Error((await answer.json()).message), { status: answer.status });
  return answer.status === 204 ? null : answer.json();
}

async function accessToken() {
  const body = new URLSearchParams({ grant_type: "client_credentials", client_id: "softphone" });
  return (await (await fetch(`${API}/issuer/token`, { method: "POST", body })).json()).access_token;
}

async function subscribe(type, detail = {}) {
  const config = { subscriptionDetail: { registrationId: phone.registration, ...detail }, initialEvent: true };
  const wish = { protocol: "HTTP", sink: phone.channel.sink, types: [TYPE + type], config };
  await request("POST", "/webrtc-events/v0.2/subscriptions", await accessToken(), wish);
}

async function plugIn() {
  phone.channel = await request("POST", "/channels/v0/channels", await accessToken());
  delete phone.cursor;
  await subscribe("session-invitation");
  save();
}

// The invitation names the session, whose progress is another subscription. It begins with the present state.
async function follow() {
  for (const [mediaSessionId, call] of Object.entries(phone.calls)) {
    if (call.followed) continue;
    await subscribe("session-status", { mediaSessionId }).catch((problem) => { if (!(problem.status < 500)) throw problem; });
    call.followed = true;
    save();
  }
}

function received({ type, time, data }) {
  const call = phone.calls[data.mediaSessionId];
  if (type === `${TYPE}session-invitation`) {
    phone.calls[data.mediaSessionId] ??= { from: data.originatorAddress, name: data.originatorName, steps: [] };
    phone.calls[data.mediaSessionId].sdp ??= data.offer?.sdp;
  } else if (type === `${TYPE}session-status` && call) {
    call.steps.push({ time, status: data.status });
    call.sdp = data.answer?.sdp ?? data.offer?.sdp ?? call.sdp;
  }
}

async function read() {
  const headers = { Authorization: `Bearer ${phone.channel.token}`, ...(phone.cursor && { "Last-Event-ID": phone.cursor }) };
  const answer = await fetch(`${API}/channels/v0/channels/${phone.channel.id}/events`, { headers });
  if (!answer.ok) throw Object.assign(new Error("The channel cannot be read"), { status: answer.status });
  show("Ready", "ready");
  let text = "";
  for await (const part of answer.body.pipeThrough(new TextDecoderStream())) {
    text += part;
    for (let end; (end = text.indexOf("\n\n")) >= 0; text = text.slice(end + 2)) {
      const fields = text.slice(0, end).split("\n").map((line) => line.split(/: ?(.*)/s));
      const { id, event, data } = Object.fromEntries(fields);
      if (event === "end") throw Object.assign(new Error("The channel was deleted"), { status: 404 });
      if (event?.startsWith(TYPE)) received(JSON.parse(data));
      if (id) phone.cursor = id;
      save();
      draw();
    }
    await follow();
    if (phone.cursor) await request("PUT", `/channels/v0/channels/${phone.channel.id}/cursor`, phone.channel.token, { cursor: phone.cursor });
  }
}

function show(text, kind) {
  Object.assign(at("#state"), { textContent: text, className: kind });
}

function draw() {
  const calls = Object.values(phone.calls).reverse().slice(0, 5);
  at("#registration").textContent = phone.registration;
  at("#idle").hidden = calls.length > 0;
  at("#calls").replaceChildren(...calls.map((call) => {
    const card = at("#call").content.cloneNode(true);
    const status = call.steps.at(-1)?.status ?? "Initial";
    at("article", card).className = OVER.includes(status) ? "over" : ["Connected", "Hold", "Resume"].includes(status) ? "talking" : "ringing";
    at("h2", card).textContent = call.name ?? "Incoming call";
    at(".number", card).textContent = `${call.from?.replace("tel:", "") ?? ""} · ${status}`;
    at("ol", card).append(...call.steps.map(({ time, status }) => {
      const item = document.createElement("li");
      item.textContent = `${new Date(time).toLocaleTimeString()}  ${status}`;
      return item;
    }));
    if (call.sdp) Object.assign(at("details", card), { hidden: false }).lastChild.textContent = call.sdp;
    return card;
  }));
}

at("#copy").onclick = () => navigator.clipboard.writeText(phone.registration);
at("#restart").onclick = () => { localStorage.removeItem("softphone"); location.reload(); };
draw();
for (;;) {
  try {
    if (!phone.channel) await plugIn();
    await follow();
    await read();
  } catch (problem) {
    show(`${problem.message}. Trying again …`, "away");
    if ([401, 404].includes(problem.status)) delete phone.channel;
  }
  await new Promise((resume) => setTimeout(resume, 1000));
}
