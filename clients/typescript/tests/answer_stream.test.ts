import assert from "node:assert/strict";
import { test } from "node:test";

import { ForebayError, QueryCancelled, QueryFailed } from "../src/index.js";
import type { AnswerEvent } from "../src/index.js";
import {
  ACCEPTED,
  CITED,
  COMPLETED,
  events,
  FALLS,
  playing,
  QUERY,
  refusing,
  replying,
  RETRIEVED,
  status,
  WATER,
  WHOLE,
} from "./edge.js";

async function all(stream: AsyncIterable<AnswerEvent>): Promise<AnswerEvent[]> {
  const found: AnswerEvent[] = [];
  for await (const event of stream) {
    found.push(event);
  }
  return found;
}

test("an answer is the sum of its events, with the zeros that JSON leaves out", async (t) => {
  const { client } = await playing(t, [events("end", ...WHOLE)]);
  const answer = await client.ask("Why?").answer();
  assert.equal(answer.text, "Water falls.");
  assert.equal(answer.query, QUERY);
  assert.deepEqual(answer.citations, [{ passage: 0, start: 0, end: 12 }]);
  assert.equal(answer.passages[0]?.text, "Water falls.");
});

for (const end of ["cut", "end"] as const) {
  test(`a stream that was ${end} resumes behind its last event, without gap or repeat`, async (t) => {
    const { client, seen } = await playing(t, [
      events(end, ACCEPTED, RETRIEVED, WATER),
      events("end", WATER, FALLS, CITED, COMPLETED),
    ]);
    assert.deepEqual(await all(client.ask("Why?")), WHOLE);
    assert.equal(seen[1]?.line, `GET /v1/${QUERY}:stream`);
    assert.equal(seen[1]?.headers["last-event-id"], "3");
  });
}

test("before the first event the same question is asked again under its id", async (t) => {
  const { client, seen } = await playing(t, [events("cut"), events("end", ...WHOLE)]);
  await client.ask("Why?").answer();
  const ids = seen.map((each) => each.headers["idempotency-key"]);
  assert.match(String(ids[0]), /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
  assert.equal(ids[1], ids[0]);
});

test("nothing is read behind the terminal event", async (t) => {
  const { client, seen } = await playing(t, [events("end", ...WHOLE, ...WHOLE)]);
  assert.deepEqual(await all(client.ask("Why?")), WHOLE);
  assert.equal(seen.length, 1);
});

test("a stream whose token expired goes on with a fresh one", async (t) => {
  const expired = `event: status\ndata: ${JSON.stringify(status(16, "TOKEN_EXPIRED"))}\n\n`;
  const tokens: (string | undefined)[] = [];
  const { client, seen } = await playing(
    t,
    [
      (response) => {
        response.writeHead(200, { "Content-Type": "text/event-stream" });
        response.end(`id: 1\ndata: ${JSON.stringify(ACCEPTED)}\n\n${expired}`);
      },
      events("end", RETRIEVED, WATER, FALLS, CITED, COMPLETED),
    ],
    { token: (refused) => (tokens.push(refused?.reason), refused ? "fresh" : "stale") },
  );
  assert.deepEqual(await all(client.ask("Why?")), WHOLE);
  assert.deepEqual(tokens, [undefined, "TOKEN_EXPIRED"]);
  assert.equal(seen[1]?.headers.authorization, "Bearer fresh");
});

test("a second refusal of the token is the caller's to know", async (t) => {
  const { client, seen } = await playing(t, [refusing(401, 16, "TOKEN_EXPIRED")]);
  await assert.rejects(client.ask("Why?").answer(), { code: "UNAUTHENTICATED" });
  assert.equal(seen.length, 2);
});

test("a status event ends the stream as an error with reason and details", async (t) => {
  const ended = status(7, "CLEARANCE_TOO_LOW", { clearance: "PUBLIC" });
  const { client } = await playing(t, [
    (response) => {
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      response.end(`event: status\ndata: ${JSON.stringify(ended)}\n\n`);
    },
  ]);
  await assert.rejects(client.ask("Why?").answer(), {
    name: "ForebayError",
    code: "PERMISSION_DENIED",
    reason: "CLEARANCE_TOO_LOW",
    metadata: { clearance: "PUBLIC" },
  });
});

test("a query that failed says why, and one that was cancelled that it was", async (t) => {
  const failed = { query: QUERY, cursor: "2", failed: { error: status(4, "QUERY_EXPIRED") } };
  const failing = await playing(t, [events("end", ACCEPTED, failed)]);
  await assert.rejects(failing.client.ask("Why?").answer(), (error) => {
    assert.ok(error instanceof QueryFailed);
    assert.deepEqual([error.query, error.reason], [QUERY, "QUERY_EXPIRED"]);
    return true;
  });
  const cancelled = { query: QUERY, cursor: "2", cancelled: {} };
  const cancelling = await playing(t, [events("end", ACCEPTED, cancelled)]);
  await assert.rejects(cancelling.client.ask("Why?").answer(), QueryCancelled);
});

test("a follower behind the last event learns that nothing is left", async (t) => {
  const { client } = await playing(t, [(response) => response.writeHead(204).end()]);
  assert.deepEqual(await all(client.follow(QUERY, "6")), []);
  await assert.rejects(client.follow(QUERY, "6").answer(), { code: "FAILED_PRECONDITION" });
});

test("a clock that is wrong is set by the server's, once, under a new id", async (t) => {
  const serverTime = "2031-02-03T04:05:06.789Z";
  const refused = refusing(400, 3, "REQUEST_ID_OUT_OF_WINDOW", { server_time: serverTime });
  const { client, seen } = await playing(t, [refused, events("end", ...WHOLE)]);
  await client.ask("Why?").answer();
  const id = String(seen[1]?.headers["idempotency-key"]).replaceAll("-", "");
  const made = parseInt(id.slice(0, 12), 16);
  assert.ok(Math.abs(made - Date.parse(serverTime)) < 5_000);
  const own = "0193d2a0-0000-7000-8000-000000000000";
  const { client: other } = await playing(t, [refused]);
  await assert.rejects(other.submit("Why?", { requestId: own }), {
    reason: "REQUEST_ID_OUT_OF_WINDOW",
  });
});

test("a retry is told to whoever wants to know, and patience has an end", async (t) => {
  const retry = { firstDelay: 1, longestDelay: 5, patience: 60 };
  const { client } = await playing(t, [refusing(503, 14, "LOG_UNAVAILABLE")], { retry });
  const heard: string[] = [];
  const onRetry = (error: ForebayError): number => heard.push(error.reason);
  await assert.rejects(client.submit("Why?", { onRetry }), { reason: "LOG_UNAVAILABLE" });
  assert.ok(heard.length > 0);
  assert.ok(heard.every((reason) => reason === "LOG_UNAVAILABLE"));
});

test("what is no failure of the way is not tried again", async (t) => {
  const { client, seen } = await playing(t, [refusing(403, 7, "SCOPE_MISSING")]);
  await assert.rejects(client.caller(), { code: "PERMISSION_DENIED", reason: "SCOPE_MISSING" });
  assert.equal(seen.length, 1);
});

test("an answer that somebody between gives is judged by its HTTP status", async (t) => {
  const gateway = (response: Parameters<ReturnType<typeof replying>>[0]): void => {
    response.writeHead(502, { "Content-Type": "text/html" }).end("<h1>Bad Gateway</h1>");
  };
  const { client } = await playing(t, [gateway, replying({ tenant: "acme" })]);
  assert.equal((await client.caller()).tenant, "acme");
});

test("an aborted reader stops at once and is told its own reason", async (t) => {
  const { client } = await playing(t, [
    (response) => {
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      response.write(`data: ${JSON.stringify(ACCEPTED)}\n\n`);
    },
  ]);
  const leaving = new AbortController();
  const stream = client.ask("Why?", { signal: leaving.signal });
  assert.deepEqual((await stream.next()).value, ACCEPTED);
  leaving.abort(new Error("seen enough"));
  await assert.rejects(stream.next(), { message: "seen enough" });
});

test("a call that takes too long ends by its deadline", async (t) => {
  const { client } = await playing(t, [() => undefined]);
  await assert.rejects(client.caller({ timeout: 50 }), { code: "DEADLINE_EXCEEDED" });
});
