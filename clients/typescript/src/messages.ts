/**
 * The contract's messages as they travel: JSON in lower camel case (ProtoJSON).
 *
 * A field that holds its default (an empty text, 0, an empty list) is absent; 64-bit integers are
 * strings, times RFC 3339, durations like `1.5s`, enums their full names.
 */
import type { components, operations } from "./schema.js";

type Schemas = components["schemas"];

export type AnswerEvent = Schemas["forebay.query.v1.AnswerEvent"];
export type Caller = Schemas["forebay.query.v1.Caller"];
export type Citation = Schemas["forebay.query.v1.Citation"];
export type Document = Schemas["forebay.ingest.v1.Document"];
export type DocumentPage = Schemas["forebay.ingest.v1.ListDocumentsResponse"];
export type Passage = Schemas["forebay.query.v1.Passage"];
export type PipelineStatus = Schemas["forebay.pipeline.v1.PipelineStatus"];
export type Query = Schemas["forebay.query.v1.Query"];
export type StageStatus = Schemas["forebay.pipeline.v1.StageStatus"];
export type Status = Schemas["google.rpc.Status"];
export type Usage = Schemas["forebay.query.v1.Usage"];

export type Question =
  operations["QueryService.SubmitQuery"]["requestBody"]["content"]["application/json"];
export type Visibility = NonNullable<Passage["visibility"]>;
export type FinishReason = NonNullable<NonNullable<AnswerEvent["completed"]>["finishReason"]>;

/** Which step of a query an event tells of: the one of these fields that it has. */
export type AnswerEventKind = (typeof KINDS)[number];

const KINDS = [
  "accepted",
  "retrieved",
  "delta",
  "citation",
  "restarted",
  "usage",
  "completed",
  "failed",
  "cancelled",
  "heartbeat",
] as const satisfies readonly (keyof AnswerEvent)[];

/** The step that an event tells of; undefined for one that this client is too old to know. */
export function kindOf(event: AnswerEvent): AnswerEventKind | undefined {
  return KINDS.find((kind) => event[kind] !== undefined);
}
