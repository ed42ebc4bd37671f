// BullMQ with undici: 32 jobs at once, as many connections that persist; a job is done when its POST is.
import { readFileSync } from "node:fs";
import { Worker } from "bullmq";
import { Agent, request } from "undici";

const CONCURRENCY = Number(process.env.BENCH_CONCURRENCY ?? 32);
const job = JSON.parse(readFileSync(process.env.BENCH_JOB));
const dispatcher = new Agent({ connections: CONCURRENCY, connect: { ca: readFileSync(job.ca_file) } });
const headers = { "content-type": "application/cloudevents+json" };

async function post({ data: { url, body } }) {
  const response = await request(url, { method: "POST", headers, body, dispatcher });
  await response.body.dump();
  if (response.statusCode >= 300) throw new Error(`the sink answered ${response.statusCode}`);
}

const worker = new Worker("bench", post, {
  connection: { path: job.socket, maxRetriesPerRequest: null },
  concurrency: CONCURRENCY,
});
worker.on("error", console.error);
worker.on("failed", (_, error) => console.error(error));
