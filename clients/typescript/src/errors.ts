/**
 * What can go wrong, by what a caller does about it.
 *
 * ForebayError             `code` and `reason` say why; what may be retried was retried
 * ├── QueryFailed          the query ended without an answer; code and reason are its cause's
 * ├── QueryCancelled       somebody wanted no answer any more
 * ├── DocumentFailed       the version will not be found; code and reason are its cause's
 * └── DocumentSuperseded   another version took this one's place
 */
import type { Document } from "./messages.js";

/** Names of google.rpc.Code, by number. */
export const CODES = [
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
  "UNAUTHENTICATED",
] as const;
export type Code = (typeof CODES)[number];

/** A field that breaks a rule (google.rpc.BadRequest.FieldViolation). */
export interface Violation {
  readonly field: string;
  readonly description: string;
  readonly rule: string;
}

export interface ErrorFacts {
  readonly code: Code;
  readonly reason?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly violations?: readonly Violation[];
  readonly retryDelay?: number | undefined;
}

/** Any error of a call, a query or a document. */
export class ForebayError extends Error {
  override readonly name: string = "ForebayError";
  readonly code: Code;
  /** As it stands in an ErrorInfo, such as TOKEN_EXPIRED; empty when the server did not say it. */
  readonly reason: string;
  /** What belongs to the reason (google.rpc.ErrorInfo). */
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly Violation[];
  /** Milliseconds after which the server would have the call again, if it said so. */
  readonly retryDelay: number | undefined;

  constructor(message: string, facts: ErrorFacts, options?: ErrorOptions) {
    super(message, options);
    this.code = facts.code;
    this.reason = facts.reason ?? "";
    this.metadata = facts.metadata ?? {};
    this.violations = facts.violations ?? [];
    this.retryDelay = facts.retryDelay;
  }
}

/** A query ended without an answer. */
export class QueryFailed extends ForebayError {
  override readonly name = "QueryFailed";

  constructor(
    readonly query: string,
    override readonly cause: ForebayError,
  ) {
    super(cause.message, cause);
  }
}

/** A query was cancelled before its answer was whole. */
export class QueryCancelled extends ForebayError {
  override readonly name = "QueryCancelled";

  constructor(readonly query: string) {
    super("the query was cancelled", { code: "CANCELLED" });
  }
}

/** A document's version will not be found. */
export class DocumentFailed extends ForebayError {
  override readonly name = "DocumentFailed";

  constructor(
    readonly document: Document,
    override readonly cause: ForebayError,
  ) {
    super(cause.message, cause);
  }
}

/** Another version of the document, `document.supersededBy`, took this one's place. */
export class DocumentSuperseded extends ForebayError {
  override readonly name = "DocumentSuperseded";

  constructor(readonly document: Document) {
    super(`version ${document.supersededBy} took this version's place`, { code: "ABORTED" });
  }
}

/** What breaks on the way, and what the next attempt may get past. */
export function unavailable(message: string, cause?: unknown): ForebayError {
  return new ForebayError(message, { code: "UNAVAILABLE" }, { cause });
}
