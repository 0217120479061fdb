/** Waits until a document's version is found by questions. */
import { now, sleep } from "./calls.js";
import type { CallOptions, Calls } from "./calls.js";
import { DocumentFailed, DocumentSuperseded, ForebayError } from "./errors.js";
import { failureOfStatus } from "./failure.js";
import type { Document } from "./messages.js";

const FIRST_PAUSE = 50; // ms; a small document is indexed within tens of milliseconds
const LONGEST_PAUSE = 1_000;

/** Asks for a document, ever less often, until its version is INDEXED; throws otherwise. */
export async function watchDocument(
  calls: Calls,
  name: string,
  etag: string,
  options: CallOptions & { readonly timeout: number },
): Promise<Document> {
  const deadline = now() + options.timeout;
  let pause = FIRST_PAUSE;
  let state = "not known";
  for (let left = options.timeout; left > 0; left = deadline - now()) {
    const document = await look(calls, name, etag, { ...options, timeout: left });
    if (document && isIndexed(document)) {
      return document;
    }
    state = document?.state?.replace("STATE_", "") ?? state;
    await sleep(Math.min(pause * (0.5 + Math.random() / 2), left), options.signal);
    pause = Math.min(pause * 2, LONGEST_PAUSE);
  }
  throw new ForebayError(`${name} is ${state} after ${options.timeout / 1000} s`, {
    code: "DEADLINE_EXCEEDED",
  });
}

async function look(
  calls: Calls,
  name: string,
  etag: string,
  options: CallOptions,
): Promise<Document | undefined> {
  const parameters: Record<string, string> = etag ? { etag } : {};
  try {
    return await calls.unary<Document>({ verb: "GET", path: `/v1/${name}`, parameters }, options);
  } catch (error) {
    if (error instanceof ForebayError && error.code === "NOT_FOUND") {
      return undefined; // accepted a moment ago: the catalogue may not know it yet
    }
    throw error;
  }
}

function isIndexed(document: Document): boolean {
  if (document.state === "STATE_FAILED") {
    throw new DocumentFailed(document, failureOfStatus(document.error ?? {}));
  }
  if (document.state === "STATE_SUPERSEDED") {
    throw new DocumentSuperseded(document);
  }
  return document.state === "STATE_INDEXED";
}
