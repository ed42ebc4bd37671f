// Queues a job for each line of the job's posts, in bulk, with retries.
import { createReadStream, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { Queue } from "bullmq";

const BULK = 500;
const job = JSON.parse(readFileSync(process.env.BENCH_JOB));
const queue = new Queue("bench", { connection: { path: job.socket } });
const opts = { attempts: 8, backoff: { type: "exponential", delay: 1000 }, removeOnComplete: true };

let bulk = [];
for await (const line of createInterface({ input: createReadStream(job.posts) })) {
  const [url, body] = JSON.parse(line);
  bulk.push({ name: "post", data: { url, body }, opts });
  if (bulk.length === BULK) {
    await queue.addBulk(bulk);
    bulk = [];
  }
}
if (bulk.length) await queue.addBulk(bulk);
await queue.close();
