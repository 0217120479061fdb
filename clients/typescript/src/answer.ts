/** A whole answer, and how the events of a query add up to it. */
import { QueryCancelled, QueryFailed } from "./errors.js";
import type { ForebayError } from "./errors.js";
import { failureOfStatus } from "./failure.js";
import type { AnswerEvent, Citation, FinishReason, Passage, Usage } from "./messages.js";

/** What a query came to. */
export interface Answer {
  /** Its name, `queries/{query}`. */
  readonly query: string;
  /** The answer; empty when passages alone were asked for. */
  readonly text: string;
  /** What was found, best first. */
  readonly passages: readonly Passage[];
  /** Which part of the text rests on which passage. */
  readonly citations: readonly CitedPart[];
  /** What it cost; without a model when no model was called. */
  readonly usage: Usage;
  readonly finishReason: FinishReason;
}

/** A part of an answer that rests on a passage. */
export interface CitedPart {
  /** Index into the passages, from 0. */
  readonly passage: number;
  /** The part begins here, in UTF-8 bytes of the answer. */
  readonly start: number;
  /** And ends before here. */
  readonly end: number;
}

/** A citation with the zeros that JSON leaves out. */
export function citedPart(citation: Citation): CitedPart {
  const { passage = 0, span: { start = 0, end = 0 } = {} } = citation;
  return { passage, start, end };
}

/** Adds events up, in their order. */
export class AnswerFold {
  query: string;
  #passages: Passage[] = [];
  #citations: CitedPart[] = [];
  #usage: Usage = {};
  #completed: NonNullable<AnswerEvent["completed"]> | undefined;
  #error: ForebayError | undefined;

  constructor(query = "") {
    this.query = query;
  }

  /** Whether a terminal event was added. */
  get ended(): boolean {
    return this.#completed !== undefined || this.#error !== undefined;
  }

  /** The next event. Deltas are for those who show the text as it grows: `completed` has it whole. */
  add(event: AnswerEvent): void {
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
  answer(): Answer {
    if (!this.#completed) {
      throw this.#error ?? new Error("the query has not ended");
    }
    return {
      query: this.query,
      text: this.#completed.answer ?? "",
      passages: this.#passages,
      citations: this.#citations,
      usage: this.#usage,
      finishReason: this.#completed.finishReason ?? "FINISH_REASON_UNSPECIFIED",
    };
  }
}
