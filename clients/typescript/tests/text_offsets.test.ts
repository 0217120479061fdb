import assert from "node:assert/strict";
import { test } from "node:test";

import { indexOfByte } from "../page/text_offsets.js";

test("bytes of UTF-8 become indexes of a script's string", () => {
  const text = "a\u00e9\u20ac\u{1f600}z";
  const bytes = new TextEncoder();
  for (let index = 0; index <= text.length; index += 1) {
    if (index === 4) {
      continue; // between the halves of one character
    }
    assert.equal(indexOfByte(text, bytes.encode(text.slice(0, index)).length), index);
  }
  assert.equal(indexOfByte(text, 1_000), text.length);
});
