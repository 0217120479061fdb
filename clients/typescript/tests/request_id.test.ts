import assert from "node:assert/strict";
import { test } from "node:test";

import { RequestIds } from "../src/index.js";

const FORM = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

test("ids are UUIDv7 of now and rise within one millisecond", () => {
  const ids = new RequestIds(() => 1_700_000_000_000);
  const made = Array.from({ length: 2_000 }, () => ids.next());
  assert.ok(made.every((id) => FORM.test(id)));
  assert.deepEqual([...made].sort(), made);
  assert.equal(new Set(made).size, made.length);
  assert.equal(parseInt(made[0]!.replaceAll("-", "").slice(0, 12), 16), 1_700_000_000_000);
});

test("a clock that goes back does not take ids back", () => {
  let now = 1_700_000_000_000;
  const ids = new RequestIds(() => now);
  const before = ids.next();
  now -= 5_000;
  assert.ok(ids.next() > before);
});

test("after a correction ids have the server's time, also when it is earlier", () => {
  const ids = new RequestIds(() => 1_700_000_000_000);
  ids.next();
  ids.correct(1_600_000_000_000);
  assert.equal(parseInt(ids.next().replaceAll("-", "").slice(0, 12), 16), 1_600_000_000_000);
});
