/** Turns what a server says of a failure into an error: a google.rpc.Status, or less. */
import { CODES, ForebayError } from "./errors.js";
import type { Code, Violation } from "./errors.js";
import type { Status } from "./messages.js";

const DOMAIN = "forebay";
const PREFIX = "type.googleapis.com/google.rpc.";

/** What is left to go by when something between answered instead of the server. */
const HTTP_CODES: Readonly<Record<number, Code>> = {
  400: "INVALID_ARGUMENT",
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  408: "UNAVAILABLE",
  413: "INVALID_ARGUMENT",
  429: "RESOURCE_EXHAUSTED",
  502: "UNAVAILABLE",
  503: "UNAVAILABLE",
  504: "UNAVAILABLE",
};

interface Detail {
  readonly "@type"?: string;
  readonly [key: string]: unknown;
}

/** The error that a google.rpc.Status tells of: a query's, a document's or a call's. */
export function failureOfStatus(status: Status): ForebayError {
  const code = CODES[status.code ?? 0] ?? "UNKNOWN";
  const details: readonly Detail[] = status.details ?? [];
  const info = detail(details, "ErrorInfo");
  const retry = detail(details, "RetryInfo");
  return new ForebayError(status.message || code, {
    code,
    reason: info?.["domain"] === DOMAIN ? String(info["reason"] ?? "") : "",
    metadata: (info?.["metadata"] ?? {}) as Record<string, string>,
    violations: violations(detail(details, "BadRequest")),
    retryDelay: retry && milliseconds(String(retry["retryDelay"] ?? "")),
  });
}

/** The error of an answer that is none. */
export async function failureOfResponse(response: Response): Promise<ForebayError> {
  const text = await response.text();
  const status = parsed(text);
  if (status?.code) {
    return failureOfStatus(status);
  }
  const seconds = Number(response.headers.get("Retry-After") ?? NaN);
  return new ForebayError(`HTTP ${response.status} ${response.statusText}`.trim(), {
    code: HTTP_CODES[response.status] ?? "UNKNOWN",
    retryDelay: Number.isFinite(seconds) ? seconds * 1000 : undefined,
  });
}

function parsed(text: string): Status | undefined {
  try {
    return JSON.parse(text) as Status;
  } catch {
    return undefined;
  }
}

function detail(details: readonly Detail[], kind: string): Detail | undefined {
  return details.find((each) => each["@type"] === PREFIX + kind);
}

function violations(request: Detail | undefined): Violation[] {
  const found = (request?.["fieldViolations"] ?? []) as Partial<Record<string, string>>[];
  return found.map((each) => ({
    field: each["field"] ?? "",
    description: each["description"] ?? "",
    rule: each["reason"] ?? "",
  }));
}

/** Milliseconds of a duration in ProtoJSON, such as `1.5s`. */
function milliseconds(duration: string): number | undefined {
  const seconds = /^(\d+(?:\.\d+)?)s$/.exec(duration)?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1000;
}
