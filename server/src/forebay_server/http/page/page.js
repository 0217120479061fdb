// Made of clients/typescript/page by `npm run page`; do not edit.

// src/errors.ts
var CODES = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED"
];
var ForebayError = class extends Error {
  name = "ForebayError";
  code;
  /** As it stands in an ErrorInfo, such as TOKEN_EXPIRED; empty when the server did not say it. */
  reason;
  /** What belongs to the reason (google.rpc.ErrorInfo). */
  metadata;
  violations;
  /** Milliseconds after which the server would have the call again, if it said so. */
  retryDelay;
  constructor(message, facts, options) {
    super(message, options);
    this.code = facts.code;
    this.reason = facts.reason ?? "";
    this.metadata = facts.metadata ?? {};
    this.violations = facts.violations ?? [];
    this.retryDelay = facts.retryDelay;
  }
};
var QueryFailed = class extends ForebayError {
  constructor(query, cause) {
    super(cause.message, cause);
    this.query = query;
    this.cause = cause;
  }
  query;
  cause;
  name = "QueryFailed";
};
var QueryCancelled = class extends ForebayError {
  constructor(query) {
    super("the query was cancelled", { code: "CANCELLED" });
    this.query = query;
  }
  query;
  name = "QueryCancelled";
};
var DocumentFailed = class extends ForebayError {
  constructor(document2, cause) {
    super(cause.message, cause);
    this.document = document2;
    this.cause = cause;
  }
  document;
  cause;
  name = "DocumentFailed";
};
var DocumentSuperseded = class extends ForebayError {
  constructor(document2) {
    super(`version ${document2.supersededBy} took this version's place`, { code: "ABORTED" });
    this.document = document2;
  }
  document;
  name = "DocumentSuperseded";
};
function unavailable(message, cause) {
  return new ForebayError(message, { code: "UNAVAILABLE" }, { cause });
}

// src/failure.ts
var DOMAIN = "forebay";
var PREFIX = "type.googleapis.com/google.rpc.";
var HTTP_CODES = {
  400: "INVALID_ARGUMENT",
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  408: "UNAVAILABLE",
  413: "INVALID_ARGUMENT",
  429: "RESOURCE_EXHAUSTED",
  502: "UNAVAILABLE",
  503: "UNAVAILABLE",
  504: "UNAVAILABLE"
};
function failureOfStatus(status) {
  const code = CODES[status.code ?? 0] ?? "UNKNOWN";
  const details2 = status.details ?? [];
  const info = detail(details2, "ErrorInfo");
  const retry = detail(details2, "RetryInfo");
  return new ForebayError(status.message || code, {
    code,
    reason: info?.["domain"] === DOMAIN ? String(info["reason"] ?? "") : "",
    metadata: info?.["metadata"] ?? {},
    violations: violations(detail(details2, "BadRequest")),
    retryDelay: retry && milliseconds(String(retry["retryDelay"] ?? ""))
  });
}
async function failureOfResponse(response) {
  const text = await response.text();
  const status = parsed(text);
  if (status?.code) {
    return failureOfStatus(status);
  }
  const seconds = Number(response.headers.get("Retry-After") ?? NaN);
  return new ForebayError(`HTTP ${response.status} ${response.statusText}`.trim(), {
    code: HTTP_CODES[response.status] ?? "UNKNOWN",
    retryDelay: Number.isFinite(seconds) ? seconds * 1e3 : void 0
  });
}
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return void 0;
  }
}
function detail(details2, kind) {
  return details2.find((each) => each["@type"] === PREFIX + kind);
}
function violations(request) {
  const found = request?.["fieldViolations"] ?? [];
  return found.map((each) => ({
    field: each["field"] ?? "",
    description: each["description"] ?? "",
    rule: each["reason"] ?? ""
  }));
}
function milliseconds(duration) {
  const seconds = /^(\d+(?:\.\d+)?)s$/.exec(duration)?.[1];
  return seconds === void 0 ? void 0 : Number(seconds) * 1e3;
}

// src/answer.ts
function citedPart(citation) {
  const { passage = 0, span: { start = 0, end = 0 } = {} } = citation;
  return { passage, start, end };
}
var AnswerFold = class {
  query;
  #passages = [];
  #citations = [];
  #usage = {};
  #completed;
  #error;
  constructor(query = "") {
    this.query = query;
  }
  /** Whether a terminal event was added. */
  get ended() {
    return this.#completed !== void 0 || this.#error !== void 0;
  }
  /** The next event. Deltas are for those who show the text as it grows: `completed` has it whole. */
  add(event) {
    this.query = event.query || this.query;
    if (event.retrieved) {
      this.#passages = event.retrieved.passages ?? [];
    } else if (event.restarted) {
      this.#citations = [];
    } else if (event.citation) {
      this.#citations.push(citedPart(event.citation));
    } else if (event.usage) {
      this.#usage = event.usage;
    } else if (event.completed) {
      this.#completed = event.completed;
    } else if (event.failed) {
      this.#error = new QueryFailed(this.query, failureOfStatus(event.failed.error ?? {}));
    } else if (event.cancelled) {
      this.#error = new QueryCancelled(this.query);
    }
  }
  /** The whole answer. Throws QueryFailed or QueryCancelled when there is none. */
  answer() {
    if (!this.#completed) {
      throw this.#error ?? new Error("the query has not ended");
    }
    return {
      query: this.query,
      text: this.#completed.answer ?? "",
      passages: this.#passages,
      citations: this.#citations,
      usage: this.#usage,
      finishReason: this.#completed.finishReason ?? "FINISH_REASON_UNSPECIFIED"
    };
  }
};

// src/messages.ts
var KINDS = [
  "accepted",
  "retrieved",
  "delta",
  "citation",
  "restarted",
  "usage",
  "completed",
  "failed",
  "cancelled",
  "heartbeat"
];
function kindOf(event) {
  return KINDS.find((kind) => event[kind] !== void 0);
}

// src/answer_position.ts
var SINGLE = /* @__PURE__ */ new Set(["accepted", "retrieved"]);
var AnswerPosition = class {
  #cursor;
  #reached = /* @__PURE__ */ new Map();
  #seen;
  constructor(cursor = "") {
    this.#cursor = cursor;
    this.#seen = new Set(cursor ? [cursor] : []);
  }
  /** Behind the last event that was admitted. */
  get cursor() {
    return this.#cursor;
  }
  /** Whether the event is new; a new one moves the position. A heartbeat never is. */
  admit(event) {
    const kind = kindOf(event);
    if (kind === "heartbeat" || event.cursor && event.cursor === this.#cursor) {
      return false;
    }
    const admitted = event.sequence ? this.#follows(event) : this.#isFirst(kind, event);
    if (admitted) {
      this.#cursor = event.cursor || this.#cursor;
    }
    return admitted;
  }
  #follows({ attempt = "", sequence = 0 }) {
    const reached = this.#reached.get(attempt) ?? 0;
    this.#reached.set(attempt, Math.max(sequence, reached));
    return sequence > reached;
  }
  #isFirst(kind, event) {
    const mark = kind && SINGLE.has(kind) ? kind : event.cursor ?? "";
    const first = !mark || !this.#seen.has(mark);
    this.#seen.add(mark);
    return first;
  }
};

// src/retry.ts
var ONCE = /* @__PURE__ */ new Set(["TOKEN_EXPIRED", "REQUEST_ID_OUT_OF_WINDOW"]);
var RESUMED = "READER_TOO_SLOW";
var BROKEN = /* @__PURE__ */ new Set(["CANCELLED", "INTERNAL", "UNKNOWN"]);
var BROKEN_ATTEMPTS = 3;
var SERVED = 3e3;
var DEFAULT_RETRY = { firstDelay: 50, longestDelay: 2e3, patience: 3e4 };
var Retries = class {
  #policy;
  #deadline;
  #jitter;
  #failingSince;
  #failures = 0;
  #seen = /* @__PURE__ */ new Set();
  constructor(policy, options) {
    this.#policy = policy;
    this.#deadline = options.started + (options.timeout ?? Infinity);
    this.#jitter = options.jitter ?? Math.random;
  }
  /** Until the call's deadline; Infinity without one. */
  remaining(now2) {
    return Math.max(0, this.#deadline - now2);
  }
  /** The call came further: patience and back-off begin anew with the next failure. */
  progressed() {
    this.#failingSince = void 0;
    this.#failures = 0;
    this.#seen.clear();
  }
  /** A stream that stayed open was served, although nothing may have come on it. */
  streamEnded(opened, now2) {
    if (now2 - opened >= SERVED) {
      this.progressed();
    }
  }
  /** How long to wait before the next attempt; throws `error` when there will be none. */
  waitAfter(error, now2) {
    if (!this.#mayRetry(error)) {
      throw error;
    }
    const delay = this.#delay(error);
    this.#failures += 1;
    this.#seen.add(error.reason);
    this.#failingSince ??= now2;
    if (now2 + delay >= Math.min(this.#failingSince + this.#policy.patience, this.#deadline)) {
      throw error;
    }
    return delay;
  }
  #mayRetry(error) {
    if (ONCE.has(error.reason)) {
      return !this.#seen.has(error.reason);
    }
    if (error.code === "RESOURCE_EXHAUSTED") {
      return error.retryDelay !== void 0 || error.reason === RESUMED;
    }
    if (BROKEN.has(error.code)) {
      return error.reason === "" && this.#failures < BROKEN_ATTEMPTS;
    }
    return error.code === "UNAVAILABLE";
  }
  #delay(error) {
    if (ONCE.has(error.reason) && error.retryDelay === void 0) {
      return 0;
    }
    const ceiling = this.#policy.firstDelay * 2 ** Math.min(this.#failures, 16);
    const backoff = Math.min(ceiling, this.#policy.longestDelay) * (1 + this.#jitter()) / 2;
    return Math.max(backoff, (error.retryDelay ?? 0) * (1 + this.#jitter() / 10));
  }
};

// src/calls.ts
var Calls = class {
  #options;
  #refused;
  constructor(options) {
    this.#options = options;
  }
  /** Gives a logical call its id: the caller's own, where there is one. */
  identify(own) {
    return own ? { id: own, renewable: false } : { id: this.#options.ids.next(), renewable: true };
  }
  /** The attempts of a call that begins now. */
  retries(timeout) {
    return new Retries(this.#options.policy, { started: now(), timeout });
  }
  /** One logical call, in as many attempts as its deadline and its errors allow. */
  async unary(call, options = {}, identity2) {
    const retries = this.retries(options.timeout ?? this.#options.timeout);
    for (; ; ) {
      try {
        const response = await this.open(call, retries, options, identity2);
        return await arriving(response.json(), options.signal);
      } catch (error) {
        await this.recover(failure(error), retries, options, identity2);
      }
    }
  }
  /** One attempt: the answer, once its head is there. Throws ForebayError for any but a good one. */
  async open(call, retries, options, identity2) {
    const authorization = await this.#authorization();
    const url = new URL(this.#options.url.replace(/\/$/, "") + call.path);
    url.search = new URLSearchParams(call.parameters).toString();
    const sent = this.#options.fetch(url, {
      method: call.verb,
      headers: {
        ...call.headers,
        ...call.body === void 0 ? {} : { "Content-Type": "application/json" },
        ...identity2 ? { "Idempotency-Key": identity2.id } : {},
        Authorization: authorization
      },
      body: call.body === void 0 ? null : JSON.stringify(call.body),
      signal: within(retries.remaining(now()), options.signal),
      cache: "no-store",
      credentials: "omit",
      redirect: "error"
    });
    const response = await arriving(sent, options.signal);
    if (!response.ok) {
      throw await arriving(failureOfResponse(response), options.signal);
    }
    return response;
  }
  /**
   * Waits until the next attempt is due, with a corrected clock if that was refused.
   *
   * Throws `error` when there will be no other attempt.
   */
  async recover(error, retries, options, identity2) {
    const refusedClock = error.reason === "REQUEST_ID_OUT_OF_WINDOW";
    if (refusedClock && !identity2?.renewable) {
      throw error;
    }
    const delay = retries.waitAfter(error, now());
    if (refusedClock && identity2) {
      this.#correctClock(error);
      identity2.id = this.#options.ids.next();
    }
    if (error.code === "UNAUTHENTICATED") {
      this.#refused = error;
    }
    options.onRetry?.(error, delay);
    await sleep(delay, options.signal);
  }
  #correctClock(error) {
    const serverTime = Date.parse(error.metadata["server_time"] ?? "");
    if (Number.isNaN(serverTime)) {
      throw error;
    }
    this.#options.ids.correct(serverTime);
  }
  async #authorization() {
    const { token } = this.#options;
    const refused = this.#refused;
    this.#refused = void 0;
    return `Bearer ${typeof token === "string" ? token : await token(refused)}`;
  }
};
function now() {
  return performance.now();
}
function failure(error) {
  if (error instanceof ForebayError) {
    return error;
  }
  throw error;
}
async function arriving(arrival, signal) {
  try {
    return await arrival;
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof DOMException && error.name === "TimeoutError") {
      throw new ForebayError("the call took too long", { code: "DEADLINE_EXCEEDED" });
    }
    throw unavailable("the connection broke off", error);
  }
}
function sleep(delay, signal) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, delay);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
function within(remaining, signal) {
  if (!Number.isFinite(remaining)) {
    return signal ?? null;
  }
  const timeout = AbortSignal.timeout(Math.ceil(remaining));
  return signal ? AbortSignal.any([signal, timeout]) : timeout;
}

// node_modules/eventsource-parser/dist/index.js
var ParseError = class extends Error {
  constructor(message, options) {
    super(message), this.name = "ParseError", this.type = options.type, this.field = options.field, this.value = options.value, this.line = options.line;
  }
};
var LF = 10;
var CR = 13;
var SPACE = 32;
function noop(_arg) {
}
function createParser(config) {
  if (typeof config == "function")
    throw new TypeError(
      "`config` must be an object, got a function instead. Did you mean `createParser({onEvent: fn})`?"
    );
  const { onEvent = noop, onError = noop, onRetry = noop, onComment, maxBufferSize } = config, pendingFragments = [];
  let pendingFragmentsLength = 0, isFirstChunk = true, id, data = "", dataLines = 0, eventType, terminated = false;
  function feed(chunk) {
    if (terminated)
      throw new Error(
        "Cannot feed parser: it was terminated after exceeding the configured max buffer size. Call `reset()` to resume parsing."
      );
    if (isFirstChunk && (isFirstChunk = false, chunk.charCodeAt(0) === 239 && chunk.charCodeAt(1) === 187 && chunk.charCodeAt(2) === 191 && (chunk = chunk.slice(3))), pendingFragments.length === 0) {
      const trailing2 = processLines(chunk);
      trailing2 !== "" && (pendingFragments.push(trailing2), pendingFragmentsLength = trailing2.length), checkBufferSize();
      return;
    }
    if (chunk.indexOf(`
`) === -1 && chunk.indexOf("\r") === -1) {
      pendingFragments.push(chunk), pendingFragmentsLength += chunk.length, checkBufferSize();
      return;
    }
    pendingFragments.push(chunk);
    const input = pendingFragments.join("");
    pendingFragments.length = 0, pendingFragmentsLength = 0;
    const trailing = processLines(input);
    trailing !== "" && (pendingFragments.push(trailing), pendingFragmentsLength = trailing.length), checkBufferSize();
  }
  function checkBufferSize() {
    maxBufferSize !== void 0 && (pendingFragmentsLength + data.length <= maxBufferSize || (terminated = true, pendingFragments.length = 0, pendingFragmentsLength = 0, id = void 0, data = "", dataLines = 0, eventType = void 0, onError(
      new ParseError(`Buffered data exceeded max buffer size of ${maxBufferSize} characters`, {
        type: "max-buffer-size-exceeded"
      })
    )));
  }
  function processLines(chunk) {
    let searchIndex = 0;
    if (chunk.indexOf("\r") === -1) {
      let lfIndex = chunk.indexOf(`
`, searchIndex);
      for (; lfIndex !== -1; ) {
        if (searchIndex === lfIndex) {
          dataLines > 0 && onEvent({ id, event: eventType, data }), id = void 0, data = "", dataLines = 0, eventType = void 0, searchIndex = lfIndex + 1, lfIndex = chunk.indexOf(`
`, searchIndex);
          continue;
        }
        const firstCharCode = chunk.charCodeAt(searchIndex);
        if (isDataPrefix(chunk, searchIndex, firstCharCode)) {
          const valueStart = chunk.charCodeAt(searchIndex + 5) === SPACE ? searchIndex + 6 : searchIndex + 5, value = chunk.slice(valueStart, lfIndex);
          if (dataLines === 0 && chunk.charCodeAt(lfIndex + 1) === LF) {
            onEvent({ id, event: eventType, data: value }), id = void 0, data = "", eventType = void 0, searchIndex = lfIndex + 2, lfIndex = chunk.indexOf(`
`, searchIndex);
            continue;
          }
          data = dataLines === 0 ? value : `${data}
${value}`, dataLines++;
        } else isEventPrefix(chunk, searchIndex, firstCharCode) ? eventType = chunk.slice(
          chunk.charCodeAt(searchIndex + 6) === SPACE ? searchIndex + 7 : searchIndex + 6,
          lfIndex
        ) || void 0 : parseLine(chunk, searchIndex, lfIndex);
        searchIndex = lfIndex + 1, lfIndex = chunk.indexOf(`
`, searchIndex);
      }
      return chunk.slice(searchIndex);
    }
    for (; searchIndex < chunk.length; ) {
      const crIndex = chunk.indexOf("\r", searchIndex), lfIndex = chunk.indexOf(`
`, searchIndex);
      let lineEnd = -1;
      if (crIndex !== -1 && lfIndex !== -1 ? lineEnd = crIndex < lfIndex ? crIndex : lfIndex : crIndex !== -1 ? crIndex === chunk.length - 1 ? lineEnd = -1 : lineEnd = crIndex : lfIndex !== -1 && (lineEnd = lfIndex), lineEnd === -1)
        break;
      parseLine(chunk, searchIndex, lineEnd), searchIndex = lineEnd + 1, chunk.charCodeAt(searchIndex - 1) === CR && chunk.charCodeAt(searchIndex) === LF && searchIndex++;
    }
    return chunk.slice(searchIndex);
  }
  function parseLine(chunk, start, end) {
    if (start === end) {
      dispatchEvent();
      return;
    }
    const firstCharCode = chunk.charCodeAt(start);
    if (isDataPrefix(chunk, start, firstCharCode)) {
      const valueStart = chunk.charCodeAt(start + 5) === SPACE ? start + 6 : start + 5, value2 = chunk.slice(valueStart, end);
      data = dataLines === 0 ? value2 : `${data}
${value2}`, dataLines++;
      return;
    }
    if (isEventPrefix(chunk, start, firstCharCode)) {
      eventType = chunk.slice(chunk.charCodeAt(start + 6) === SPACE ? start + 7 : start + 6, end) || void 0;
      return;
    }
    if (firstCharCode === 105 && chunk.charCodeAt(start + 1) === 100 && chunk.charCodeAt(start + 2) === 58) {
      const value2 = chunk.slice(chunk.charCodeAt(start + 3) === SPACE ? start + 4 : start + 3, end);
      value2.includes("\0") || (id = value2);
      return;
    }
    if (firstCharCode === 58) {
      if (onComment) {
        const line2 = chunk.slice(start, end);
        onComment(line2.slice(chunk.charCodeAt(start + 1) === SPACE ? 2 : 1));
      }
      return;
    }
    const line = chunk.slice(start, end), fieldSeparatorIndex = line.indexOf(":");
    if (fieldSeparatorIndex === -1) {
      processField(line, "", line);
      return;
    }
    const field = line.slice(0, fieldSeparatorIndex), offset = line.charCodeAt(fieldSeparatorIndex + 1) === SPACE ? 2 : 1, value = line.slice(fieldSeparatorIndex + offset);
    processField(field, value, line);
  }
  function processField(field, value, line) {
    switch (field) {
      case "event":
        eventType = value || void 0;
        break;
      case "data":
        data = dataLines === 0 ? value : `${data}
${value}`, dataLines++;
        break;
      case "id":
        value.includes("\0") || (id = value);
        break;
      case "retry":
        /^\d+$/.test(value) ? onRetry(parseInt(value, 10)) : onError(
          new ParseError(`Invalid \`retry\` value: "${value}"`, {
            type: "invalid-retry",
            value,
            line
          })
        );
        break;
      default:
        onError(
          new ParseError(
            `Unknown field "${field.length > 20 ? `${field.slice(0, 20)}…` : field}"`,
            { type: "unknown-field", field, value, line }
          )
        );
        break;
    }
  }
  function dispatchEvent() {
    dataLines > 0 && onEvent({
      id,
      event: eventType,
      data
    }), id = void 0, data = "", dataLines = 0, eventType = void 0;
  }
  function reset(options = {}) {
    if (options.consume && pendingFragments.length > 0) {
      const incompleteLine = pendingFragments.join("");
      parseLine(incompleteLine, 0, incompleteLine.length);
    }
    isFirstChunk = true, id = void 0, data = "", dataLines = 0, eventType = void 0, pendingFragments.length = 0, pendingFragmentsLength = 0, terminated = false;
  }
  return { feed, reset };
}
function isDataPrefix(chunk, i, firstCharCode) {
  return firstCharCode === 100 && chunk.charCodeAt(i + 1) === 97 && chunk.charCodeAt(i + 2) === 116 && chunk.charCodeAt(i + 3) === 97 && chunk.charCodeAt(i + 4) === 58;
}
function isEventPrefix(chunk, i, firstCharCode) {
  return firstCharCode === 101 && chunk.charCodeAt(i + 1) === 118 && chunk.charCodeAt(i + 2) === 101 && chunk.charCodeAt(i + 3) === 110 && chunk.charCodeAt(i + 4) === 116 && chunk.charCodeAt(i + 5) === 58;
}

// src/events.ts
var SILENCE = 45e3;
var STATUS = "status";
async function* messages(response, signal) {
  for await (const { event, data } of events(response, signal)) {
    if (event === STATUS) {
      throw failureOfStatus(parsed2(data));
    }
    yield parsed2(data);
  }
}
async function* events(response, signal) {
  if (!response.body) {
    return;
  }
  const waiting = [];
  const parser = createParser({ onEvent: (event) => waiting.push(event) });
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  try {
    for (; ; ) {
      const { done, value } = await arriving(heard(reader.read()), signal);
      if (done) {
        return;
      }
      parser.feed(decoder.decode(value, { stream: true }));
      yield* waiting.splice(0);
    }
  } finally {
    await reader.cancel().catch(() => void 0);
  }
}
async function heard(reading) {
  let timer;
  const silence = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`silent for ${SILENCE} ms`)), SILENCE);
  });
  try {
    return await Promise.race([reading, silence]);
  } finally {
    clearTimeout(timer);
  }
}
function parsed2(data) {
  try {
    return JSON.parse(data);
  } catch (error) {
    throw unavailable("the stream was damaged on its way", error);
  }
}

// src/answer_stream.ts
var EVENTS = { Accept: "text/event-stream" };
var AnswerStream = class {
  #calls;
  #followed;
  #options;
  #afterCursor;
  #position;
  #fold;
  #events;
  constructor(calls, followed, options) {
    this.#calls = calls;
    this.#followed = followed;
    this.#options = options;
    this.#afterCursor = "query" in followed ? followed.afterCursor : "";
    this.#position = new AnswerPosition(this.#afterCursor);
    this.#fold = new AnswerFold("query" in followed ? followed.query : "");
    this.#events = this.#follow();
  }
  /** The query's name; empty until the first event told it. */
  get query() {
    return this.#fold.query;
  }
  /** Behind the last event that was returned. */
  get cursor() {
    return this.#position.cursor;
  }
  /**
   * Reads what is left and returns the whole answer.
   *
   * Throws QueryFailed, QueryCancelled, and ForebayError when the stream cannot be resumed or
   * began behind the query's end.
   */
  async answer() {
    for await (const _ of this.#events) {
    }
    if (!this.#fold.ended) {
      throw new ForebayError(
        "nothing of the answer lies behind this cursor: follow the query from its beginning",
        { code: "FAILED_PRECONDITION" }
      );
    }
    return this.#fold.answer();
  }
  next() {
    return this.#events.next();
  }
  /** Stops reading. */
  return() {
    return this.#events.return(void 0);
  }
  [Symbol.asyncIterator]() {
    return this;
  }
  async *#follow() {
    const retries = this.#calls.retries(this.#options.timeout);
    const identity2 = "identity" in this.#followed ? this.#followed.identity : void 0;
    while (!this.#fold.ended) {
      const opened = now();
      let failed;
      try {
        yield* this.#oneStream(retries, identity2);
        if (this.cursor && this.cursor === this.#afterCursor) {
          return;
        }
        failed = unavailable("the stream ended before the answer did");
      } catch (error) {
        failed = failure(error);
      }
      if (!this.#fold.ended) {
        retries.streamEnded(opened, now());
        await this.#calls.recover(failed, retries, this.#options, identity2);
      }
    }
  }
  async *#oneStream(retries, identity2) {
    const asked = identity2 !== void 0 && !this.cursor;
    const response = await this.#calls.open(
      this.#call(),
      retries,
      this.#options,
      asked ? identity2 : void 0
    );
    for await (const event of messages(response, this.#options.signal)) {
      retries.progressed();
      if (!this.#position.admit(event)) {
        continue;
      }
      this.#fold.add(event);
      yield event;
      if (this.#fold.ended) {
        return;
      }
    }
  }
  #call() {
    if ("question" in this.#followed && !this.cursor) {
      const { question: question2 } = this.#followed;
      return { verb: "POST", path: "/v1/queries:ask", headers: EVENTS, body: question2 };
    }
    const resumed = this.cursor ? { "Last-Event-ID": this.cursor } : {};
    return { verb: "GET", path: `/v1/${this.query}:stream`, headers: { ...EVENTS, ...resumed } };
  }
};

// src/document_watch.ts
var FIRST_PAUSE = 50;
var LONGEST_PAUSE = 1e3;
async function watchDocument(calls, name, etag, options) {
  const deadline = now() + options.timeout;
  let pause = FIRST_PAUSE;
  let state = "not known";
  for (let left = options.timeout; left > 0; left = deadline - now()) {
    const document2 = await look(calls, name, etag, { ...options, timeout: left });
    if (document2 && isIndexed(document2)) {
      return document2;
    }
    state = document2?.state?.replace("STATE_", "") ?? state;
    await sleep(Math.min(pause * (0.5 + Math.random() / 2), left), options.signal);
    pause = Math.min(pause * 2, LONGEST_PAUSE);
  }
  throw new ForebayError(`${name} is ${state} after ${options.timeout / 1e3} s`, {
    code: "DEADLINE_EXCEEDED"
  });
}
async function look(calls, name, etag, options) {
  const parameters = etag ? { etag } : {};
  try {
    return await calls.unary({ verb: "GET", path: `/v1/${name}`, parameters }, options);
  } catch (error) {
    if (error instanceof ForebayError && error.code === "NOT_FOUND") {
      return void 0;
    }
    throw error;
  }
}
function isIndexed(document2) {
  if (document2.state === "STATE_FAILED") {
    throw new DocumentFailed(document2, failureOfStatus(document2.error ?? {}));
  }
  if (document2.state === "STATE_SUPERSEDED") {
    throw new DocumentSuperseded(document2);
  }
  return document2.state === "STATE_INDEXED";
}

// src/document_content.ts
var PIECE = 32768;
function contentOf(content) {
  return content.raw === void 0 ? { text: content.text } : { raw: base64(content.raw) };
}
function base64(bytes) {
  let binary = "";
  for (let start = 0; start < bytes.length; start += PIECE) {
    binary += String.fromCharCode(...bytes.subarray(start, start + PIECE));
  }
  return btoa(binary);
}

// src/pipeline_watch.ts
async function* watchPipeline(calls, seconds, options) {
  const retries = calls.retries();
  const parameters = { interval: `${seconds}s` };
  const call = { verb: "GET", path: "/v1/pipeline:watch", parameters, headers: EVENTS };
  for (; ; ) {
    let failed;
    try {
      const response = await calls.open(call, retries, options);
      for await (const status of messages(response, options.signal)) {
        retries.progressed();
        yield status;
      }
      failed = unavailable("the stream ended");
    } catch (error) {
      failed = failure(error);
    }
    await calls.recover(failed, retries, options);
  }
}

// src/request_id.ts
var COUNTER_BITS = 42n;
var COUNTER_START_BITS = 41n;
var RANDOM_BITS = 32n;
var SAME_CLOCK = 6e4;
var RequestIds = class {
  #clock;
  #offset = 0;
  #milliseconds = 0;
  #counter = 0n;
  /** `clock` gives milliseconds since the epoch. */
  constructor(clock = Date.now) {
    this.#clock = clock;
  }
  /** The next id, in lower case. */
  next() {
    this.#advance();
    const low = COUNTER_BITS - 12n;
    const value = BigInt(this.#milliseconds) << 80n | 0x7n << 76n | this.#counter >> low << 64n | 0b10n << 62n | (this.#counter & (1n << low) - 1n) << RANDOM_BITS | random(RANDOM_BITS);
    const hex = value.toString(16).padStart(32, "0");
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  }
  /**
   * Sets the clock to the server's, in milliseconds since the epoch.
   *
   * Ids that were refused for being ahead were never used: those that follow may be earlier.
   */
  correct(serverTime) {
    this.#offset = serverTime - this.#clock();
    if (this.#milliseconds > serverTime + SAME_CLOCK) {
      this.#milliseconds = 0;
    }
  }
  #advance() {
    const now2 = Math.trunc(this.#clock() + this.#offset);
    if (now2 > this.#milliseconds) {
      this.#milliseconds = now2;
      this.#counter = random(COUNTER_START_BITS);
    } else {
      this.#counter += 1n;
    }
    if (this.#counter >> COUNTER_BITS) {
      this.#milliseconds += 1;
      this.#counter = 0n;
    }
  }
};
function random(bits) {
  const words = crypto.getRandomValues(new Uint32Array(2));
  return (BigInt(words[0]) << 32n | BigInt(words[1])) & (1n << bits) - 1n;
}

// src/client.ts
var CALL = 3e4;
var QUERY = 6e4;
var LONGEST_QUERY = 6e5;
var GRACE = 3e4;
var WAIT = 6e4;
var WATCH_SECONDS = 2;
var Client = class {
  #calls;
  constructor(options) {
    this.#calls = new Calls({
      url: options.url,
      token: options.token,
      fetch: options.fetch ?? ((...request) => fetch(...request)),
      ids: options.ids ?? new RequestIds(),
      policy: options.retry ?? DEFAULT_RETRY,
      timeout: options.timeout ?? CALL
    });
  }
  /** Asks a question of up to 16,384 bytes; iterate over its events, or await `.answer()`. */
  ask(text, options = {}) {
    const timeout = options.timeout ?? (options.queryTimeout ?? QUERY) + GRACE;
    const identity2 = this.#calls.identify(options.requestId);
    const followed = { question: question(text, options), identity: identity2 };
    return new AnswerStream(this.#calls, followed, { ...options, timeout });
  }
  /** Puts a question into the log and returns before it is answered. */
  submit(text, options = {}) {
    const body = question(text, options);
    const identity2 = this.#calls.identify(options.requestId);
    return this.#calls.unary({ verb: "POST", path: "/v1/queries", body }, options, identity2);
  }
  /** Follows a query from its beginning, or behind a cursor, until it ends. */
  follow(name, afterCursor = "", options = {}) {
    const timeout = options.timeout ?? LONGEST_QUERY + GRACE;
    return new AnswerStream(this.#calls, { query: name, afterCursor }, { ...options, timeout });
  }
  /** The query as its events up to now tell it; with `waitSeconds`, once it ended or they are over. */
  getQuery(name, options = {}) {
    const { waitSeconds } = options;
    const headers = waitSeconds ? { Prefer: `wait=${waitSeconds}` } : {};
    const timeout = options.timeout ?? CALL + (waitSeconds ?? 0) * 1e3;
    return this.#calls.unary(
      { verb: "GET", path: `/v1/${name}`, headers },
      { ...options, timeout }
    );
  }
  /** Ends a query; one that had completed before stays so. */
  cancelQuery(name, options = {}) {
    return this.#calls.unary({ verb: "POST", path: `/v1/${name}:cancel`, body: {} }, options);
  }
  /** Who the server takes you for and what you may do. */
  caller(options = {}) {
    return this.#calls.unary({ verb: "GET", path: "/v1/caller" }, options);
  }
  /**
   * Brings a document's new version; returns its receipt once it is safe in the log.
   *
   * `waitIndexed(document.name, document.etag)` tells when questions find it.
   */
  ingest(collection, documentId, fields, options = {}) {
    const body = { documentId, document: { ...fields, ...contentOf(fields) } };
    const path = `/v1/${collectionName(collection)}/documents:ingest`;
    const identity2 = this.#calls.identify(options.requestId);
    return this.#calls.unary({ verb: "POST", path, body }, options, identity2);
  }
  /** What is known of a document, of its newest version or the one that `etag` names. */
  getDocument(name, etag = "", options = {}) {
    const parameters = etag ? { etag } : {};
    return this.#calls.unary({ verb: "GET", path: `/v1/${name}`, parameters }, options);
  }
  /** The documents of a collection, by name, over all pages. */
  async *listDocuments(collection, options = {}) {
    const path = `/v1/${collectionName(collection)}/documents`;
    let pageToken = "";
    do {
      const parameters = pageToken ? { pageToken } : {};
      const page = await this.#calls.unary(
        { verb: "GET", path, parameters },
        options
      );
      yield* page.documents ?? [];
      pageToken = page.nextPageToken;
    } while (pageToken);
  }
  /** Changes who may read a document, or its labels; with `etag`, only if it still has that one. */
  updateDocument(name, changes, options = {}) {
    const parameters = { updateMask: Object.keys(changes).join(",") };
    const headers = options.etag ? { "If-Match": `"${options.etag}"` } : {};
    return this.#calls.unary(
      { verb: "PATCH", path: `/v1/${name}`, parameters, headers, body: changes },
      options,
      this.#calls.identify(options.requestId)
    );
  }
  /** Takes a document out, with all versions up to now; one that is not there is no error. */
  async deleteDocument(name, options = {}) {
    const identity2 = this.#calls.identify(options.requestId);
    await this.#calls.unary({ verb: "DELETE", path: `/v1/${name}` }, options, identity2);
  }
  /**
   * Waits until questions find a document's version; returns the document.
   *
   * Throws DocumentFailed, DocumentSuperseded, or DEADLINE_EXCEEDED after `timeout` (a minute).
   */
  waitIndexed(name, etag = "", options = {}) {
    return watchDocument(this.#calls, name, etag, { ...options, timeout: options.timeout ?? WAIT });
  }
  /**
   * The status of the pipeline now, and again every `seconds` (1 to 60), until you leave.
   *
   * Needs the scope `operate`.
   */
  watchPipeline(seconds = WATCH_SECONDS, options = {}) {
    return watchPipeline(this.#calls, seconds, options);
  }
};
function question(text, options) {
  const { collections, filter, topK, mode, queryTimeout } = options;
  return {
    text,
    ...collections && { collections: collections.map(collectionName) },
    ...filter && { filter },
    ...topK && { topK },
    ...mode && { mode },
    ...queryTimeout && { timeout: `${queryTimeout / 1e3}s` }
  };
}
function collectionName(collection) {
  return collection.startsWith("collections/") ? collection : `collections/${collection}`;
}

// page/dom.ts
function required(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) {
    throw new Error(`the page has no ${kind.name} #${id}`);
  }
  return found;
}
function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) {
    made.className = className;
  }
  made.append(...children);
  return made;
}
var StatusLine = class {
  #line;
  #base;
  constructor(line) {
    this.#line = line;
    this.#base = line.classList.contains("notice") ? "notice" : line.className;
  }
  /** Says something else; the reason, if there is one, stands behind it in its own form. */
  say(mood, text, reason = "") {
    this.#line.className = `${this.#base} ${mood}`;
    this.#line.replaceChildren(text);
    if (reason) {
      this.#line.append(" ", element("span", "reason", reason));
    }
  }
};
function readable(milliseconds2) {
  const whole = Math.round(milliseconds2);
  return whole < 1e3 ? `${whole} ms` : `${(milliseconds2 / 1e3).toFixed(1)} s`;
}

// page/text_offsets.ts
function indexOfByte(text, bytes) {
  let index = 0;
  let left = bytes;
  while (left > 0 && index < text.length) {
    const point = text.codePointAt(index);
    left -= point < 128 ? 1 : point < 2048 ? 2 : point < 65536 ? 3 : 4;
    index += point < 65536 ? 1 : 2;
  }
  return index;
}

// page/answer_text.ts
var AnswerText = class {
  #home;
  #open;
  #titleOf;
  #text = "";
  /** `open` shows a passage when its mark is pressed, `titleOf` names it for the mark. */
  constructor(home, passages) {
    this.#home = home;
    this.#open = passages.open;
    this.#titleOf = passages.titleOf;
  }
  /** The answer begins anew. */
  clear() {
    this.#text = "";
    this.#home.replaceChildren();
  }
  /** The answer grew. */
  append(text) {
    this.#text += text;
    const last = this.#home.lastChild;
    if (last instanceof Text) {
      last.appendData(text);
    } else {
      this.#home.append(text);
    }
  }
  /** A part of it rests on a passage: a mark stands behind the part. */
  cite({ passage, end }) {
    const mark = element("button", "mark", String(passage + 1));
    mark.type = "button";
    mark.setAttribute("aria-label", `Passage ${passage + 1}: ${this.#titleOf(passage)}`);
    mark.addEventListener("click", () => this.#open(passage));
    this.#insert(mark, indexOfByte(this.#text, end));
  }
  /** The answer is whole: this is it, whatever was shown before. */
  settle(answer) {
    if (this.#text !== answer) {
      this.clear();
      this.append(answer);
    }
  }
  #insert(mark, index) {
    let left = index;
    let place = this.#home.firstChild;
    for (; place; place = place.nextSibling) {
      if (!(place instanceof Text)) {
        if (left > 0) {
          continue;
        }
        break;
      }
      if (left < place.length) {
        place = left > 0 ? place.splitText(left) : place;
        break;
      }
      left -= place.length;
    }
    while (place instanceof HTMLElement) {
      place = place.nextSibling;
    }
    this.#home.insertBefore(mark, place);
  }
};

// page/words.ts
var REASONS = {
  TOKEN_MISSING: () => "Say who you are first: choose or paste a token above.",
  TOKEN_INVALID: () => "The server does not trust this token. Paste another one above.",
  TOKEN_EXPIRED: () => "This token has expired. Choose or paste another one above.",
  ISSUER_UNAVAILABLE: () => "Nobody can say just now whether tokens are good. Try again soon.",
  SCOPE_MISSING: ({ scope }) => `This token lacks the scope “${scope}”, which this needs.`,
  TIER_UNKNOWN: ({ tier }) => `The policy knows no tier “${tier}”.`,
  CLEARANCE_TOO_LOW: ({ clearance, visibility }) => `You are cleared for ${said(clearance)}, and this is ${said(visibility)}.`,
  DOCUMENT_TOO_LARGE: ({ limit_bytes }) => `The document is over the limit of ${mebibytes(limit_bytes)}.`,
  DOCUMENT_UNPARSEABLE: () => "The file is not what its type says, so nothing can be read from it.",
  DOCUMENT_EMPTY: () => "There is no text in this document; a scan holds pictures alone.",
  DOCUMENT_TEXT_TOO_LARGE: () => "There is more text in this document than can be indexed.",
  DOCUMENT_PARSER_TIMEOUT: () => "Reading this document took too long.",
  LIMIT_REACHED: ({ limit, value }, error) => `You have reached a limit of your tier: ${value} ${said(limit)}. ${again(error)}`,
  PIPELINE_OVERLOADED: (_, error) => `Too many questions are waiting for this one to be answered in time. ${again(error)}`,
  LOG_UNAVAILABLE: () => "The log does not answer, so nothing was taken on. Try again soon.",
  INDEX_UNAVAILABLE: () => "The index does not answer just now. Try again soon.",
  QUERY_EXPIRED: () => "The answer was not whole in time.",
  QUERY_NOT_FOUND: () => "This question is not known any more, or it is not yours.",
  MODEL_THROTTLED: () => "The model asks to slow down. Try again soon.",
  MODEL_UNAVAILABLE: () => "The model does not answer. Try again soon.",
  MODEL_REFUSED: () => "The model refuses this request.",
  ATTEMPTS_EXHAUSTED: () => "Every attempt at an answer failed. Ask once more.",
  INTERNAL: () => "Something is broken on the server."
};
function explained(error) {
  const say = REASONS[error.reason];
  if (say) {
    return say(error.metadata, error).trim();
  }
  const [violation] = error.violations;
  if (violation) {
    return `${violation.field || "The request"}: ${violation.description}.`;
  }
  if (error.code === "UNAVAILABLE") {
    return "The server cannot be reached.";
  }
  return `${error.message.charAt(0).toUpperCase()}${error.message.slice(1)}.`;
}
function reasonOf(error) {
  return error.reason ? `${error.code} · ${error.reason}` : error.code;
}
function tellable(error) {
  if (error instanceof ForebayError) {
    return error;
  }
  throw error;
}
function said(name = "") {
  return name.replace(/^(VISIBILITY|STATE)_/, "").replaceAll("_", " ").toLowerCase();
}
function again({ retryDelay }) {
  return retryDelay === void 0 ? "" : `Try again in ${Math.ceil(retryDelay / 1e3)} s.`;
}
function mebibytes(bytes = "") {
  return `${Math.round(Number(bytes) / 1048576 * 10) / 10} MiB`;
}

// page/passage_list.ts
var MOODS = { public: "good", internal: "", confidential: "warn" };
var PassageList = class {
  #list;
  #empty;
  #shown = [];
  #titles = [];
  constructor(list) {
    this.#list = list;
    this.#empty = element("li", "note", "None yet.");
  }
  /** Shows these in place of the former ones. */
  show(passages, none = "Nothing that you may see fits.") {
    this.#titles = passages.map(titleOf);
    this.#shown = passages.map(details);
    this.#empty.textContent = none;
    const items = this.#shown.map((each) => element("li", "", each));
    this.#list.replaceChildren(...items.length ? items : [this.#empty]);
  }
  /** Opens one, and takes the reader there. */
  open = (passage) => {
    const opened = this.#shown[passage];
    if (!opened) {
      return;
    }
    this.#shown.forEach((each) => each.classList.toggle("shown", each === opened));
    opened.open = true;
    opened.scrollIntoView({ block: "nearest" });
    opened.querySelector("summary")?.focus();
  };
  /** The answer rests on one. */
  cite(passage) {
    this.#shown[passage]?.classList.add("cited");
  }
  /** The answer begins anew, and rests on none yet. */
  forgetCitations() {
    this.#shown.forEach((each) => each.classList.remove("cited"));
  }
  titleOf = (passage) => this.#titles[passage] ?? "";
};
function titleOf(passage) {
  return passage.title || (passage.document ?? "").split("/").at(-1) || "Untitled";
}
function details(passage, position) {
  const visibility = said(passage.visibility);
  const text = passage.text ?? "";
  return element(
    "details",
    "",
    element(
      "summary",
      "",
      element("span", "number", String(position + 1)),
      element("span", "title", titleOf(passage)),
      element("span", `badge ${MOODS[visibility] ?? ""}`.trim(), visibility),
      ...under(passage),
      element("span", "excerpt", text)
    ),
    element("div", "inside", ...inside(passage, text))
  );
}
function under({ headings = [] }) {
  const heading = headings.at(-1);
  return heading && headings.length > 1 ? [element("span", "under", heading)] : [];
}
function inside(passage, text) {
  const place = [passage.document, passage.sourceUri].filter(Boolean).join(" · ");
  const parts = [element("p", "passage", text), element("p", "note", place)];
  if (passage.headings?.length) {
    parts.unshift(element("p", "note", passage.headings.join(" › ")));
  }
  return parts;
}

// page/steps.ts
var Steps = class {
  #list;
  #items;
  #began = 0;
  constructor(list) {
    this.#list = list;
    const items = list.querySelectorAll("[data-step]");
    this.#items = new Map([...items].map((item) => [item.dataset["step"] ?? "", item]));
  }
  /** A question was sent. */
  begin() {
    this.#began = performance.now();
    this.#list.hidden = false;
    for (const item of this.#items.values()) {
      item.classList.remove("reached");
      item.querySelector(".time").textContent = "";
    }
  }
  /** It came so far; a step counts once. */
  reach(step) {
    const item = this.#items.get(step);
    if (item && !item.classList.contains("reached")) {
      item.classList.add("reached");
      item.querySelector(".time").textContent = readable(performance.now() - this.#began);
    }
  }
  /** It will come no further. */
  fail() {
    this.#list.hidden = ![...this.#items.values()].some(
      (each) => each.classList.contains("reached")
    );
  }
};

// page/ask_view.ts
var ENDS = {
  FINISH_REASON_LENGTH: "The answer ends here: your tier allows no longer one.",
  FINISH_REASON_NO_EVIDENCE: "Nothing that you may see answers this. Bring a document in, or ask in another tier."
};
var AskView = class {
  #question = required("question", HTMLTextAreaElement);
  #submit = required("ask-form", HTMLFormElement).querySelector("button");
  #stop = required("stop", HTMLButtonElement);
  #result = required("result", HTMLElement);
  #answer = this.#result.querySelector(".answer");
  #status = new StatusLine(required("ask-status", HTMLElement));
  #steps = new Steps(required("steps", HTMLElement));
  #passages = new PassageList(required("passages", HTMLElement));
  #text = new AnswerText(required("answer", HTMLElement), this.#passages);
  #client;
  #running;
  #lost = false;
  #wasLost = false;
  /** `client` acts for whoever asks. */
  constructor(client2) {
    this.#client = client2;
    const form = required("ask-form", HTMLFormElement);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#ask();
    });
    this.#question.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        form.requestSubmit();
      }
    });
    this.#stop.addEventListener("click", () => void this.#cancel());
  }
  async #ask() {
    const question2 = this.#question.value.trim();
    if (this.#running || !question2) {
      return;
    }
    const client2 = this.#client();
    const onRetry = (error, delay) => this.#interrupted(error, delay);
    const stream = client2.ask(question2, { onRetry });
    this.#running = { stream, client: client2 };
    this.#begin(question2);
    try {
      for await (const event of stream) {
        this.#show(event);
      }
      await stream.answer();
    } catch (error) {
      this.#fail(tellable(error));
    } finally {
      this.#running = void 0;
      this.#settle();
    }
  }
  #begin(question2) {
    this.#lost = this.#wasLost = false;
    this.#steps.begin();
    this.#text.clear();
    this.#passages.show([], "None yet.");
    required("cost", HTMLElement).textContent = "";
    required("asked", HTMLElement).textContent = question2;
    this.#result.hidden = true;
    this.#submit.setAttribute("aria-disabled", "true");
    this.#stop.hidden = false;
    this.#status.say("busy", "Sending your question.");
  }
  #show(event) {
    if (this.#lost) {
      this.#lost = false;
      this.#status.say("busy", "Connected again: the answer goes on where it stopped.");
    }
    this.#steps.reach(kindOf(event) ?? "");
    if (event.accepted) {
      this.#status.say("busy", "Your question is safe in the log. Looking for passages.");
    } else if (event.retrieved) {
      this.#retrieved(event.retrieved);
    } else if (event.restarted) {
      this.#text.clear();
      this.#passages.forgetCitations();
      this.#status.say("busy", "The answer begins anew: what was written of it broke off.");
    } else if (event.delta) {
      this.#text.append(event.delta.text ?? "");
    } else if (event.citation) {
      const part = citedPart(event.citation);
      this.#text.cite(part);
      this.#passages.cite(part.passage);
    } else if (event.usage) {
      this.#tellCost(event.usage);
    } else if (event.completed) {
      this.#complete(event.completed);
    }
  }
  #retrieved({ passages = [] }) {
    this.#passages.show(passages);
    this.#result.hidden = false;
    this.#answer.classList.add("growing");
    const found = passages.length === 1 ? "1 passage" : `${passages.length || "No"} passages`;
    this.#status.say("busy", `${found} found. Writing the answer.`);
  }
  #complete({ answer = "", finishReason }) {
    this.#result.hidden = false;
    this.#text.settle(answer);
    const end = (finishReason && ENDS[finishReason]) ?? "The answer is whole.";
    const way = this.#wasLost ? " The connection was lost on the way; nothing is missing." : "";
    this.#status.say("done", end + way);
  }
  #tellCost({ model, inputTokens = "0", outputTokens = "0" }) {
    if (model) {
      const cost = `${model} read ${inputTokens} tokens and wrote ${outputTokens}.`;
      required("cost", HTMLElement).textContent = cost;
    }
  }
  #interrupted(error, delay) {
    if (delay === 0) {
      return;
    }
    this.#lost = true;
    if (error.reason) {
      const when = readable(delay);
      this.#status.say("lost", `Not just now: trying again in ${when}.`, reasonOf(error));
    } else {
      this.#wasLost = true;
      const going = "The connection was lost. The answer goes on once it is back.";
      this.#status.say("lost", going);
    }
  }
  #fail(error) {
    if (error instanceof QueryCancelled) {
      this.#status.say("idle", "Stopped, as you wished.");
    } else {
      this.#steps.fail();
      required("cost", HTMLElement).textContent = "No answer came to its end.";
      this.#status.say("failed", explained(error), reasonOf(error));
    }
  }
  #settle() {
    this.#answer.classList.remove("growing");
    this.#submit.removeAttribute("aria-disabled");
    if (document.activeElement === this.#stop) {
      this.#question.focus();
    }
    this.#stop.hidden = true;
  }
  async #cancel() {
    const running = this.#running;
    if (!running?.stream.query) {
      return;
    }
    try {
      await running.client.cancelQuery(running.stream.query);
    } catch (error) {
      const told = tellable(error);
      this.#status.say("failed", explained(told), reasonOf(told));
    }
  }
};

// page/documents_view.ts
var MOST = 4 * 1048576;
var TYPES = {
  txt: "text/plain",
  md: "text/markdown",
  markdown: "text/markdown",
  html: "text/html",
  htm: "text/html",
  pdf: "application/pdf"
};
var DocumentsView = class {
  #form = required("upload", HTMLFormElement);
  #file = required("file", HTMLInputElement);
  #text = required("text", HTMLTextAreaElement);
  #id = required("document-id", HTMLInputElement);
  #collection = required("collection", HTMLInputElement);
  #visibility = required("visibility", HTMLSelectElement);
  #status = new StatusLine(required("upload-status", HTMLElement));
  #uploads = required("uploads", HTMLElement);
  #client;
  /** `client` acts for whoever brings them. */
  constructor(client2) {
    this.#client = client2;
    this.#file.addEventListener("change", () => this.#suggestName());
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#bring();
    });
  }
  #suggestName() {
    const name = this.#file.files?.[0]?.name.replace(/\.[^.]*$/, "") ?? "";
    if (name) {
      this.#id.value = name.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
      this.#id.value = this.#id.value.slice(0, 63);
    }
  }
  async #bring() {
    const file = this.#file.files?.[0];
    const text = this.#text.value;
    if (!file && !text.trim()) {
      this.#status.say("failed", "Choose a file, or write its text.");
      return;
    }
    if ((file?.size ?? 0) > MOST) {
      this.#status.say("failed", "The file is over the limit of 4 MiB.");
      return;
    }
    const extension = file?.name.split(".").at(-1)?.toLowerCase() ?? "txt";
    const mimeType = TYPES[extension] ?? "text/plain";
    const content = file ? { raw: new Uint8Array(await file.arrayBuffer()) } : { text };
    const visibility = this.#visibility.value;
    const fields = { ...content, mimeType, visibility, title: file?.name ?? this.#id.value };
    const upload = new Upload(this.#id.value, this.#status);
    this.#uploads.prepend(upload.item);
    const sending = upload.follow(this.#client(), this.#collection.value, fields);
    this.#file.value = this.#text.value = this.#id.value = "";
    await sending;
  }
};
var Upload = class {
  item;
  #id;
  #status;
  #badge = element("span", "badge", "sending");
  #note = element("span", "note");
  constructor(id, status) {
    this.#id = id;
    this.#status = status;
    this.item = element("li", "", element("span", "title", id), this.#badge, this.#note);
  }
  /** Sends it and watches it to its end. */
  async follow(client2, collection, fields) {
    const began = performance.now();
    this.#tell("", "sending", `Sending ${this.#id}.`);
    try {
      const receipt = await client2.ingest(collection, this.#id, fields);
      this.#tell("warn", "accepted", `${this.#id} is safe in the log; questions find it soon.`);
      await client2.waitIndexed(receipt.name ?? "", receipt.etag);
      const took = readable(performance.now() - began);
      this.#tell("good", "indexed", `${this.#id} is indexed: questions find it, after ${took}.`);
    } catch (error) {
      this.#fail(tellable(error));
    }
  }
  #tell(mood, state, text) {
    this.#badge.className = `badge ${mood}`.trim();
    this.#badge.textContent = state;
    this.#note.textContent = "";
    this.#status.say("idle", text);
  }
  #fail(error) {
    this.#tell("bad", "failed", `${this.#id} failed.`);
    this.#note.append(explained(error), " ", element("span", "reason", reasonOf(error)));
  }
};

// page/identity.ts
var DEVELOPMENT_PATH = "development/token";
var FIRST_TIER = "standard";
var OWN = "own";
var AHEAD = 3e4;
var ROOT = new URL(".", document.baseURI).href;
var Identity = class {
  #status = new StatusLine(required("caller", HTMLElement));
  #own = required("own", HTMLElement);
  #input = required("token", HTMLInputElement);
  #changed;
  #client;
  /** `changed` hears of every other choice. */
  constructor(changed) {
    this.#changed = changed;
    this.#client = client(noToken);
    const form = required("identity", HTMLFormElement);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#useOwn();
    });
    const offered = document.querySelector("meta[name=development-tokens]");
    if (offered?.content === "yes") {
      this.#offerTiers();
    } else {
      this.#own.hidden = false;
      this.#useOwn();
    }
  }
  /** Acts for whoever is chosen now; what was begun with an earlier one goes on as it began. */
  get client() {
    return this.#client;
  }
  #offerTiers() {
    const tiers = required("tiers", HTMLFieldSetElement);
    tiers.hidden = false;
    for (const choice of tiers.querySelectorAll("input")) {
      choice.checked = choice.value === FIRST_TIER;
      choice.addEventListener("change", () => this.#choose(choice.value));
    }
    this.#choose(FIRST_TIER);
  }
  #choose(tier) {
    this.#own.hidden = tier !== OWN;
    if (tier === OWN) {
      this.#useOwn();
    } else {
      this.#use(developmentToken(tier));
    }
  }
  #useOwn() {
    const token = this.#input.value.trim();
    this.#use(token || noToken);
  }
  #use(token) {
    this.#client = client(token);
    if (token === noToken) {
      this.#status.say("idle", "No token yet.");
    } else {
      void this.#introduce(this.#client);
    }
    this.#changed();
  }
  async #introduce(chosen) {
    try {
      const caller = await chosen.caller();
      if (chosen === this.#client) {
        this.#status.say("idle", introduction(caller));
      }
    } catch (error) {
      const told = tellable(error);
      if (chosen === this.#client) {
        this.#status.say("failed", explained(told), reasonOf(told));
      }
    }
  }
};
function client(token) {
  return new Client({ url: ROOT, token });
}
function introduction(caller) {
  const may = (caller.scopes ?? []).join(", ") || "nothing";
  return `${caller.subject} at ${caller.tenant}, ${caller.tier}: reads up to ${said(caller.clearance)}; may ${may}`;
}
function noToken() {
  throw new ForebayError("no token", { code: "UNAUTHENTICATED", reason: "TOKEN_MISSING" });
}
function developmentToken(tier) {
  let kept;
  return async (refused) => {
    if (!kept || refused || Date.now() > kept.until) {
      const answer = await fetched(`${ROOT}${DEVELOPMENT_PATH}?tier=${tier}`);
      const { token, expiresIn } = await answer.json();
      kept = { token, until: Date.now() + parseInt(expiresIn, 10) * 1e3 - AHEAD };
    }
    return kept.token;
  };
}
async function fetched(url) {
  const unavailable2 = { code: "UNAVAILABLE" };
  const answer = await fetch(url, { method: "POST" }).catch((error) => {
    throw new ForebayError("the issuer cannot be reached", unavailable2, { cause: error });
  });
  if (!answer.ok) {
    throw new ForebayError(
      "this address gets no development token: use the one that `forebay up` names, or paste a token",
      { code: "PERMISSION_DENIED" }
    );
  }
  return answer;
}

// page/pipeline_view.ts
var SECONDS = 2;
var LANES = {
  cataloguing: "Documents",
  chunking: "Documents",
  embedding: "Documents",
  retrieval: "Questions",
  generation: "Questions"
};
var BESIDE = "Beside them";
var WORK = {
  cataloguing: "Keeps what exists, and which version is the newest.",
  chunking: "Cuts documents into passages.",
  embedding: "Gives passages their place in the index.",
  retrieval: "Finds what the asker may see.",
  generation: "Writes the answer from it.",
  auditing: "Writes down who did what."
};
var MOODS2 = {
  STATE_RUNNING: "good",
  STATE_THROTTLED: "warn",
  STATE_HALTED: "bad",
  STATE_ABSENT: "bad"
};
var PipelineView = class {
  #status = new StatusLine(required("pipeline-status", HTMLElement));
  #pause = required("pause", HTMLButtonElement);
  #lanes = required("lanes", HTMLElement);
  #client;
  #cards = /* @__PURE__ */ new Map();
  #watching;
  #visible = false;
  #paused = false;
  /** `client` acts for whoever looks. */
  constructor(client2) {
    this.#client = client2;
    this.#pause.addEventListener("click", () => {
      this.#paused = !this.#paused;
      this.#pause.textContent = this.#paused ? "Go on" : "Pause";
      this.restart();
    });
  }
  /** Whether anybody sees it: it asks nothing otherwise. */
  set visible(visible) {
    this.#visible = visible;
    this.restart();
  }
  /** Begins anew, for whoever looks now. */
  restart() {
    this.#watching?.abort();
    this.#watching = void 0;
    if (this.#visible && this.#paused) {
      this.#status.say("idle", "Paused.");
    } else if (this.#visible) {
      this.#watching = new AbortController();
      void this.#watch(this.#watching.signal);
    }
  }
  async #watch(signal) {
    this.#status.say("idle", "Looking.");
    let live = false;
    const onRetry = () => {
      live = false;
      this.#status.say("lost", "The connection was lost. This is how it was before.");
    };
    try {
      const statuses = this.#client().watchPipeline(SECONDS, { signal, onRetry });
      for await (const { stages = [] } of statuses) {
        if (!live) {
          live = true;
          this.#status.say("idle", `Live: renewed every ${SECONDS} seconds. Counts are of records.`);
        }
        this.#show(stages);
      }
    } catch (error) {
      if (!signal.aborted) {
        const told = tellable(error);
        this.#lanes.replaceChildren();
        this.#cards.clear();
        this.#status.say("failed", explained(told), reasonOf(told));
      }
    }
  }
  #show(stages) {
    const names = stages.map((each) => each.stage ?? "");
    if (names.join() !== [...this.#cards.keys()].join()) {
      this.#cards = new Map(names.map((name) => [name, new StageCard(name)]));
      const lanes = new Set(names.map(laneOf));
      this.#lanes.replaceChildren(...[...lanes].map((lane) => this.#lane(lane)));
    }
    for (const stage of stages) {
      this.#cards.get(stage.stage ?? "")?.show(stage);
    }
  }
  #lane(title) {
    const held = [...this.#cards].filter(([name]) => laneOf(name) === title);
    const cards = held.map(([, card]) => card.item);
    return element("section", "lane", element("h2", "", title), element("ol", "stages", ...cards));
  }
};
function laneOf(stage) {
  return LANES[stage] ?? BESIDE;
}
var StageCard = class {
  item;
  #state = element("span", "badge");
  #figures = element("dl", "");
  constructor(name) {
    const head = element("header", "", element("h3", "", name), this.#state);
    const work = element("p", "note", WORK[name] ?? "");
    this.item = element("li", "stage", head, work, this.#figures);
  }
  show(stage) {
    const { state = "", workers = 0, lag = "0", rate = 0, oldestAge, deadLetters = "0" } = stage;
    this.#state.className = `badge ${MOODS2[state] ?? ""}`.trim();
    this.#state.textContent = state === "STATE_ABSENT" ? "no worker" : said(state);
    const figures = {
      Waiting: lag,
      "Oldest of them": oldestAge ? `${parseFloat(oldestAge).toFixed(1)} s` : "–",
      "Finished per second": rate.toFixed(1),
      "Tried again later": stage.pendingRetries ?? "0",
      "Given up": deadLetters,
      Workers: String(workers)
    };
    this.#figures.replaceChildren(
      ...Object.entries(figures).flatMap(([name, value]) => [
        element("dt", "", name),
        element("dd", "", value)
      ])
    );
  }
};

// page/page.ts
var VIEWS = ["ask", "documents", "pipeline"];
var pipeline = new PipelineView(() => identity.client);
var identity = new Identity(() => pipeline.restart());
new AskView(() => identity.client);
new DocumentsView(() => identity.client);
function show(focus) {
  const wanted = location.hash.slice(1) || VIEWS[0];
  if (!VIEWS.some((view) => view === wanted)) {
    return;
  }
  for (const view of VIEWS) {
    required(`${view}-view`, HTMLElement).hidden = view !== wanted;
    const link = document.querySelector(`nav a[href="#${view}"]`);
    if (view === wanted) {
      link?.setAttribute("aria-current", "page");
      document.title = `${link?.textContent} · Forebay`;
    } else {
      link?.removeAttribute("aria-current");
    }
  }
  pipeline.visible = wanted === "pipeline";
  if (focus) {
    required("main", HTMLElement).focus({ preventScroll: true });
  }
}
addEventListener("hashchange", () => show(true));
show(false);
