// Reads CloudEvents in every way that the library offers to a sink.
// In: one JSON object a line, {headers, body}. Out: for each, {way: {event} or {refused}}.

const { createInterface } = require("node:readline");
const { CloudEvent, HTTP } = require("cloudevents");

const WAYS = {
  "HTTP.toEvent": (message) => HTTP.toEvent(message),
  "new CloudEvent": (message) => new CloudEvent(JSON.parse(message.body)),
  validate: (message) => {
    const event = HTTP.toEvent(message);
    event.validate();
    return event;
  },
  cloneWith: (message) => HTTP.toEvent(message).cloneWith({}),
};

function read(way, message) {
  try {
    return { event: WAYS[way](message) };
  } catch (error) {
    return { refused: `${error.constructor.name}: ${error.message}` };
  }
}

createInterface({ input: process.stdin }).on("line", (line) => {
  const message = JSON.parse(line);
  const results = Object.keys(WAYS).map((way) => [way, read(way, message)]);
  process.stdout.write(`${JSON.stringify(Object.fromEntries(results))}\n`);
});
