// A phone that rings in the browser. README.md says which functions are a backend's in a real application.
const API = document.documentElement.dataset.api ?? location.origin;
const CHANNELS = "/channels/v0/channels";
const TYPE = "org.camaraproject.webrtc-events.v0.";
const TALKING = ["Connected", "Hold", "Resume"];
const OVER = ["Terminated", "SessionCancelled", "Declined", "Failed", "NoAnswer", "NotReachable", "Busy"];
const SILENT_MS = 45_000; // The service sends a comment every 15 s: the connection is gone if none comes.
const at = (selector, root = document) => root.querySelector(selector);
const show = (textContent, className) => Object.assign(at("#state"), { textContent, className });
const problem = (message, status = 0) => Object.assign(new Error(message), { status });

let phone; // All that must survive a reload, kept in one piece: the calls, and the cursor up to which they are known.
function save() {
  localStorage.setItem("softphone", JSON.stringify(phone));
  draw();
}

async function ask(method, path, { token, json, ...options } = {}) {
  const headers = { ...(token && { Authorization: `Bearer ${token}` }), ...(json && { "Content-Type": "application/json" }), ...options.headers };
  const answer = await fetch(API + path, { body: json && JSON.stringify(json), ...options, method, headers })
    .catch(() => { throw problem("The service does not answer"); });
  if (answer.ok) return answer;
  throw problem((await answer.json().catch(() => ({}))).message ?? `The service answers ${answer.status}`, answer.status);
}

async function accessToken() {
  const body = new URLSearchParams({ grant_type: "client_credentials", client_id: "softphone" });
  return (await (await ask("POST", "/issuer/token", { body })).json()).access_token;
}

async function subscribe(sink, type, detail = {}) {
  const config = { subscriptionDetail: { registrationId: phone.registration, ...detail }, initialEvent: true };
  const json = { protocol: "HTTP", sink, types: [TYPE + type], config };
  return (await ask("POST", "/webrtc-events/v0.2/subscriptions", { token: await accessToken(), json })).json();
}

async function connect() {
  const channel = await (await ask("POST", CHANNELS, { token: await accessToken() })).json();
  const invitations = (await subscribe(channel.sink, "session-invitation")).id;
  Object.assign(phone, { channel, invitations, cursor: null });
  for (const call of Object.values(phone.calls)) call.followed = OVER.includes(call.steps.at(-1)?.status);
  save();
}

// An invitation names the session. Its progress is another subscription, which begins with the present state.
async function follow() {
  for (const [mediaSessionId, call] of Object.entries(phone.calls).filter(([, { followed }]) => !followed)) {
    await subscribe(phone.channel.sink, "session-status", { mediaSessionId })
      .catch((refusal) => { if (![400, 403, 409, 422].includes(refusal.status)) throw refusal; }); // The call may be over.
    call.followed = true;
    save();
  }
}

function receive({ type, time, data }) {
  const { mediaSessionId: session, status, originatorAddress: from, originatorName: name } = data;
  if (type === `${TYPE}subscription-ended` && data.subscriptionId === phone.invitations) throw problem("The subscription ended", 404);
  if (type === `${TYPE}session-invitation`) phone.calls[session] ??= { from, name, steps: [] };
  const call = phone.calls[session];
  if (!call) return;
  if (type === `${TYPE}session-status` && status !== call.steps.at(-1)?.status) call.steps.push({ time, status });
  call.sdp = data.answer?.sdp ?? data.offer?.sdp ?? call.sdp;
}

// Server-Sent Events, as many as came at once; none if it was a comment.
async function* batches(body) {
  let text = "";
  try {
    for await (const part of body.pipeThrough(new TextDecoderStream())) {
      const blocks = (text + part).split("\n\n");
      text = blocks.pop();
      yield blocks.map((block) => Object.fromEntries(block.split("\n").map((line) => line.split(/: ?(.*)/s))));
    }
  } catch { throw problem("The connection was lost"); }
}

async function read({ id, token }) {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENT_MS);
  const headers = phone.cursor ? { "Last-Event-ID": phone.cursor } : {}; // Without it: all that is not acknowledged.
  const answer = await ask("GET", `${CHANNELS}/${id}/events`, { token, headers, signal: silence.signal });
  show("Ready", "ready");
  for await (const batch of batches(answer.body)) {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), SILENT_MS);
    for (const { id: cursor, event, data } of batch) {
      if (event === "end") throw problem("The channel was deleted", 404);
      if (event === "gap") show(`Ready, but ${JSON.parse(data).missed} events are lost: they were not read in time`, "away");
      if (event?.startsWith(TYPE)) receive(JSON.parse(data));
      phone.cursor = cursor ?? phone.cursor;
    }
    save();
    await follow();
    if (batch.some((event) => event.id)) await ask("PUT", `${CHANNELS}/${id}/cursor`, { token, json: { cursor: phone.cursor } });
  }
}

function draw() {
  at("#registration").textContent = phone.registration;
  at("#idle a").search = `registration=${phone.registration}`;
  at("#idle").hidden = Object.keys(phone.calls).length > 0;
  for (const [session, { name, from, steps, sdp }] of Object.entries(phone.calls)) {
    const card = document.getElementById(`call-${session}`) ?? Object.assign(at("template").content.firstElementChild.cloneNode(true), { id: `call-${session}` });
    if (!card.isConnected) at("#calls").prepend(card);
    const status = steps.at(-1)?.status ?? "Initial";
    card.className = OVER.includes(status) ? "over" : TALKING.includes(status) ? "talking" : "ringing";
    at("h2", card).textContent = name ?? "Incoming call";
    at("p", card).textContent = `${from?.replace(/^(tel|sip):/, "") ?? "unknown"} · ${status}`;
    at("ol", card).append(...steps.slice(at("ol", card).children.length).map((step) =>
      Object.assign(document.createElement("li"), { textContent: `${new Date(step.time).toLocaleTimeString()}  ${step.status}` })));
    if (sdp) Object.assign(at("details", card), { hidden: false }).lastChild.textContent = sdp;
  }
}

async function run() {
  phone = JSON.parse(localStorage.getItem("softphone")) ?? { registration: crypto.randomUUID().replaceAll("-", "").slice(8), calls: {} };
  phone.calls = Object.fromEntries(Object.entries(phone.calls).slice(-5));
  for (draw(); ; await new Promise((resume) => setTimeout(resume, 1000))) {
    try {
      if (!phone.channel) await connect();
      await follow();
      await read(phone.channel);
    } catch (error) {
      if ([401, 404].includes(error.status)) delete phone.channel;
      show(`${error.message}. Trying again …`, "away");
    }
  }
}

at("#copy").onclick = () => navigator.clipboard.writeText(phone.registration).then(() => show("Registration copied", "ready"));
at("#renew").onclick = () => { localStorage.removeItem("softphone"); location.reload(); };
if ((await navigator.locks.query()).held.length) show("This phone is open in another tab. It goes on here when that one is closed.", "away");
await navigator.locks.request("softphone", run); // Else each tab would subscribe.
