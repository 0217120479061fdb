/** Reads Server-Sent Events (WHATWG HTML, section 9.2) from the body of an answer. */
import { createParser } from "eventsource-parser";
import type { EventSourceMessage } from "eventsource-parser";

import { arriving } from "./calls.js";
import { unavailable } from "./errors.js";
import { failureOfStatus } from "./failure.js";
import type { Status } from "./messages.js";

const SILENCE = 45_000; // ms; servers send a comment every 15 s, so nothing comes any more
const STATUS = "status"; // the event that says why a stream ends early

/**
 * The messages of a stream, each parsed from its event's JSON.
 *
 * Leaving the iteration closes the connection. Throws ForebayError when the server says that the
 * stream ends early, and when it breaks off or falls silent.
 */
export async function* messages<T>(response: Response, signal?: AbortSignal): AsyncGenerator<T> {
  for await (const { event, data } of events(response, signal)) {
    if (event === STATUS) {
      throw failureOfStatus(parsed<Status>(data));
    }
    yield parsed<T>(data);
  }
}

async function* events(
  response: Response,
  signal?: AbortSignal,
): AsyncGenerator<EventSourceMessage> {
  if (!response.body) {
    return;
  }
  const waiting: EventSourceMessage[] = [];
  const parser = createParser({ onEvent: (event) => waiting.push(event) });
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  try {
    for (;;) {
      const { done, value } = await arriving(heard(reader.read()), signal);
      if (done) {
        return;
      }
      parser.feed(decoder.decode(value, { stream: true }));
      yield* waiting.splice(0);
    }
  } finally {
    // A body that broke cannot be closed, and need not be.
    await reader.cancel().catch(() => undefined);
  }
}

async function heard<T>(reading: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`silent for ${SILENCE} ms`)), SILENCE);
  });
  try {
    return await Promise.race([reading, silence]);
  } finally {
    clearTimeout(timer);
  }
}

function parsed<T>(data: string): T {
  try {
    return JSON.parse(data) as T;
  } catch (error) {
    throw unavailable("the stream was damaged on its way", error);
  }
}
