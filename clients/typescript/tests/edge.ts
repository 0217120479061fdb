/** Stands in for an edge over real HTTP, and answers as a test says. */
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";

import { Client } from "../src/index.js";
import type { AnswerEvent, ClientOptions } from "../src/index.js";

export type Answering = (response: ServerResponse, request: IncomingMessage) => void;

export const QUERY = "queries/q";

/** What each request was, in their order. */
export interface Seen {
  readonly line: string;
  readonly headers: IncomingMessage["headers"];
}

/** A client of an edge that answers the first request by the first of `answers`, and so on. */
export async function playing(
  t: TestContext,
  answers: Answering[],
  options: Partial<ClientOptions> = {},
): Promise<{ client: Client; seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    request.resume();
    const answer = answers[Math.min(seen.length, answers.length - 1)];
    seen.push({ line: `${request.method} ${request.url}`, headers: request.headers });
    answer?.(response, request);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const retry = { firstDelay: 1, longestDelay: 5, patience: 5_000 };
  return { client: new Client({ url, token: "t", retry, ...options }), seen };
}

/** Events as a stream that goes on, ends, or is cut, as `end` says. */
export function events(end: "cut" | "end", ...sent: AnswerEvent[]): Answering {
  return (response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    const lines = sent.map((each) => `id: ${each.cursor}\ndata: ${JSON.stringify(each)}\n\n`);
    response.write(`:\n${lines.join("")}`, () => {
      if (end === "cut") {
        response.destroy();
      } else {
        response.end();
      }
    });
  };
}

/** A google.rpc.Status with one ErrorInfo, as a whole answer. */
export function refusing(
  http: number,
  code: number,
  reason: string,
  metadata: Record<string, string> = {},
): Answering {
  return (response) => {
    response.writeHead(http, { "Content-Type": "application/json" });
    response.end(JSON.stringify(status(code, reason, metadata)));
  };
}

export function status(code: number, reason: string, metadata: Record<string, string> = {}) {
  const type = "type.googleapis.com/google.rpc.ErrorInfo";
  return {
    code,
    message: `because of ${reason}`,
    details: [{ "@type": type, reason, domain: "forebay", metadata }],
  };
}

export function replying(message: unknown): Answering {
  return (response) => {
    response.writeHead(200, { "Content-Type": "application/json" });
    response.end(JSON.stringify(message));
  };
}

const of = { query: QUERY, attempt: "a" };
export const ACCEPTED: AnswerEvent = { query: QUERY, cursor: "1", accepted: {} };
export const RETRIEVED: AnswerEvent = {
  query: QUERY,
  cursor: "2",
  retrieved: { passages: [{ document: "collections/c/documents/d", text: "Water falls." }] },
};
export const WATER: AnswerEvent = { ...of, cursor: "3", sequence: 1, delta: { text: "Water " } };
export const FALLS: AnswerEvent = { ...of, cursor: "4", sequence: 2, delta: { text: "falls." } };
export const CITED: AnswerEvent = {
  ...of,
  cursor: "5",
  sequence: 3,
  citation: { span: { end: 12 } },
};
export const COMPLETED: AnswerEvent = {
  ...of,
  cursor: "6",
  sequence: 4,
  completed: { answer: "Water falls.", finishReason: "FINISH_REASON_STOP" },
};
export const WHOLE = [ACCEPTED, RETRIEVED, WATER, FALLS, CITED, COMPLETED];
