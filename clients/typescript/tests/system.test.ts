/** Against a running system, whose address and tokens are in the environment. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { Client, DocumentFailed, ForebayError, kindOf, RequestIds } from "../src/index.js";
import type { ClientOptions } from "../src/index.js";

const { FOREBAY_URL: url = "", FOREBAY_TOKEN: token = "", FOREBAY_FREE_TOKEN: free = "" } =
  process.env;
const skip = url ? false : "no FOREBAY_URL: this is run with a system";
const client = new Client({ url: url || "http://127.0.0.1", token });
const asker = new Client({ url: url || "http://127.0.0.1", token: free });

/** Breaks each body off after some bytes, as a bad line would; the first `times` of them. */
function breaking(times: number, bytes: number): NonNullable<ClientOptions["fetch"]> {
  let left = times;
  return async (...request) => {
    const response = await fetch(...request);
    if (!response.body || left-- <= 0) {
      return response;
    }
    let passed = 0;
    const cut = new TransformStream<Uint8Array, Uint8Array>({
      transform(piece, controller) {
        passed += piece.length;
        if (passed > bytes) {
          controller.error(new Error("cut"));
        } else {
          controller.enqueue(piece);
        }
      },
    });
    return new Response(response.body.pipeThrough(cut), response);
  };
}

test("a document is found once it is indexed, and its answer cites it", { skip }, async () => {
  const receipt = await client.ingest("plant", "weir", {
    text: "The weir is inspected every Monday.",
    visibility: "VISIBILITY_INTERNAL",
    labels: { team: "north" },
  });
  assert.equal(receipt.state, "STATE_ACCEPTED");
  const indexed = await client.waitIndexed(receipt.name!, receipt.etag);
  assert.equal(indexed.state, "STATE_INDEXED");

  const kinds = [];
  const stream = client.ask("When is the weir inspected?", { filter: { team: "north" } });
  for await (const event of stream) {
    kinds.push(kindOf(event));
  }
  assert.deepEqual([kinds[0], kinds[1]], ["accepted", "retrieved"]);
  assert.equal(kinds.at(-1), "completed");
  const answer = await stream.answer();
  assert.equal(answer.passages[0]?.document, receipt.name);

  const seen = await client.getQuery(answer.query, { waitSeconds: 5 });
  assert.deepEqual([seen.state, seen.answer], ["STATE_COMPLETED", answer.text]);
  assert.equal((await client.follow(answer.query).answer()).text, answer.text);
});

test("an answer that is cut again and again comes whole", { skip }, async () => {
  const cutting = new Client({ url, token, fetch: breaking(4, 1_500) });
  const retried: ForebayError[] = [];
  const cursors: (string | undefined)[] = [];
  const stream = cutting.ask("When is the weir inspected?", {
    onRetry: (error) => retried.push(error),
  });
  let text = "";
  for await (const event of stream) {
    text += event.delta?.text ?? "";
    cursors.push(event.cursor);
  }
  const answer = await stream.answer();
  assert.equal(text, answer.text);
  assert.equal(new Set(cursors).size, cursors.length);
  assert.ok(retried.length > 0);
  const whole = [];
  for await (const event of client.follow(answer.query)) {
    whole.push(event.cursor);
  }
  assert.deepEqual(cursors, whole);
});

test("the same question under one id is one query", { skip }, async () => {
  const requestId = new RequestIds().next();
  const [first, second] = await Promise.all([
    client.submit("When is the weir inspected?", { requestId }),
    client.submit("When is the weir inspected?", { requestId }),
  ]);
  assert.equal(first.name, second.name);
  await client.cancelQuery(first.name!);
});

test("a client whose clock is a day off corrects itself", { skip }, async () => {
  const ids = new RequestIds(() => Date.now() - 86_400_000);
  const late = new Client({ url, token, ids });
  assert.ok((await late.submit("When is the weir inspected?")).name);
});

test("a tier that may not see the document finds nothing", { skip }, async () => {
  const answer = await asker.ask("When is the weir inspected?").answer();
  assert.deepEqual(answer.passages, []);
  assert.equal(answer.finishReason, "FINISH_REASON_NO_EVIDENCE");
  const caller = await asker.caller();
  assert.deepEqual([caller.tier, caller.clearance], ["free", "VISIBILITY_PUBLIC"]);
});

test("what a token does not allow is refused with the scope", { skip }, async () => {
  const refused = { code: "PERMISSION_DENIED", reason: "SCOPE_MISSING" };
  await assert.rejects(asker.watchPipeline().next(), { ...refused, metadata: { scope: "operate" } });
  await assert.rejects(asker.ingest("plant", "a", { text: "b" }), refused);
});

test("a field that breaks a rule is named", { skip }, async () => {
  await assert.rejects(client.ask(" ").answer(), (error) => {
    assert.ok(error instanceof ForebayError);
    assert.equal(error.violations[0]?.field, "query.text");
    return error.code === "INVALID_ARGUMENT";
  });
});

test("bytes that are not what they claim to be fail the document", { skip }, async () => {
  const raw = new TextEncoder().encode("no PDF");
  const receipt = await client.ingest("plant", "scan", { raw, mimeType: "application/pdf" });
  await assert.rejects(client.waitIndexed(receipt.name!, receipt.etag), (error) => {
    assert.ok(error instanceof DocumentFailed);
    return error.reason === "DOCUMENT_UNPARSEABLE";
  });
});

test("a document is listed, changed from the etag that was seen, and taken out", { skip }, async () => {
  const names = [];
  for await (const document of client.listDocuments("plant")) {
    names.push(document.name);
  }
  const name = "collections/plant/documents/weir";
  assert.ok(names.includes(name));
  const { etag = "" } = await client.getDocument(name);
  const changed = await client.updateDocument(name, { labels: { team: "south" } }, { etag });
  await client.waitIndexed(name, changed.etag);
  const stale = client.updateDocument(name, { labels: {} }, { etag });
  await assert.rejects(stale, { code: "ABORTED", reason: "ETAG_MISMATCH" });
  await client.deleteDocument(name);
});

test("the pipeline tells how its stages do", { skip }, async () => {
  const watch = client.watchPipeline(1);
  const { value } = await watch.next();
  await watch.return(undefined as never);
  const stages = value?.stages?.map((each) => each.stage);
  assert.ok(stages?.includes("embedding") && stages.includes("generation"));
});
