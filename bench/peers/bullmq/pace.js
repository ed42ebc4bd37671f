// Queues the first BENCH_COUNT posts at BENCH_RATE a second; writes when it queued each to BENCH_SENT.
import { createReadStream, readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";
import { Queue } from "bullmq";

const count = Number(process.env.BENCH_COUNT);
const rate = Number(process.env.BENCH_RATE);
const job = JSON.parse(readFileSync(process.env.BENCH_JOB));
const posts = [];
for await (const line of createInterface({ input: createReadStream(job.posts) })) {
  if (posts.length === count) break;
  posts.push(JSON.parse(line));
}
const queue = new Queue("bench", { connection: { path: job.socket } });
await queue.waitUntilReady();
const opts = { attempts: 8, backoff: { type: "exponential", delay: 1000 }, removeOnComplete: true };

const sent = [];
const queueing = [];
const started = performance.now();
for (const [number, [url, body]] of posts.entries()) {
  const wait = started + (number / rate) * 1000 - performance.now();
  if (wait > 0) await setTimeout(wait);
  sent.push((performance.timeOrigin + performance.now()) / 1000);
  queueing.push(queue.add("post", { url, body }, opts));
}
await Promise.all(queueing);
await queue.close();
writeFileSync(process.env.BENCH_SENT, JSON.stringify(sent));
