/** Forebay's client for Node and browsers. */
export { citedPart } from "./answer.js";
export type { Answer, CitedPart } from "./answer.js";
export type { AnswerStream } from "./answer_stream.js";
export type { CallOptions, OnRetry, Token } from "./calls.js";
export { Client } from "./client.js";
export type {
  ClientOptions,
  DocumentChanges,
  DocumentFields,
  Identified,
  QuestionOptions,
} from "./client.js";
export type { Content } from "./document_content.js";
export {
  DocumentFailed,
  DocumentSuperseded,
  ForebayError,
  QueryCancelled,
  QueryFailed,
} from "./errors.js";
export type { Code, Violation } from "./errors.js";
export { failureOfStatus } from "./failure.js";
export { kindOf } from "./messages.js";
export type * from "./messages.js";
export { RequestIds } from "./request_id.js";
export type { RetryPolicy } from "./retry.js";
export type { components, operations, paths } from "./schema.js";
