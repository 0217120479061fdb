/** The events of a query, followed over as many streams as it takes. */
import { AnswerFold } from "./answer.js";
import type { Answer } from "./answer.js";
import { AnswerPosition } from "./answer_position.js";
import { failure, now } from "./calls.js";
import type { CallOptions, Calls, HttpCall, Identity } from "./calls.js";
import { ForebayError, unavailable } from "./errors.js";
import { messages } from "./events.js";
import type { AnswerEvent, Question } from "./messages.js";
import type { Retries } from "./retry.js";

export const EVENTS = { Accept: "text/event-stream" };

/** What is followed: a question that is asked by it, or a query behind a cursor. */
export type Followed =
  | { readonly question: Question; readonly identity: Identity }
  | { readonly query: string; readonly afterCursor: string };

/**
 * The events of one query until its terminal one, each once, without heartbeats.
 *
 * The call begins with the first event that is asked for. A stream that breaks is resumed behind
 * the last event; before the first one the question is asked again under its request id, which is
 * the same query. Leaving the iteration cancels nothing: follow the query again by `query` and
 * `cursor`.
 */
export class AnswerStream implements AsyncIterableIterator<AnswerEvent> {
  readonly #calls: Calls;
  readonly #followed: Followed;
  readonly #options: CallOptions;
  readonly #afterCursor: string;
  readonly #position: AnswerPosition;
  readonly #fold: AnswerFold;
  readonly #events: AsyncGenerator<AnswerEvent, undefined>;

  constructor(calls: Calls, followed: Followed, options: CallOptions) {
    this.#calls = calls;
    this.#followed = followed;
    this.#options = options;
    this.#afterCursor = "query" in followed ? followed.afterCursor : "";
    this.#position = new AnswerPosition(this.#afterCursor);
    this.#fold = new AnswerFold("query" in followed ? followed.query : "");
    this.#events = this.#follow();
  }

  /** The query's name; empty until the first event told it. */
  get query(): string {
    return this.#fold.query;
  }

  /** Behind the last event that was returned. */
  get cursor(): string {
    return this.#position.cursor;
  }

  /**
   * Reads what is left and returns the whole answer.
   *
   * Throws QueryFailed, QueryCancelled, and ForebayError when the stream cannot be resumed or
   * began behind the query's end.
   */
  async answer(): Promise<Answer> {
    for await (const _ of this.#events) {
      // The fold has it.
    }
    if (!this.#fold.ended) {
      throw new ForebayError(
        "nothing of the answer lies behind this cursor: follow the query from its beginning",
        { code: "FAILED_PRECONDITION" },
      );
    }
    return this.#fold.answer();
  }

  next(): Promise<IteratorResult<AnswerEvent, undefined>> {
    return this.#events.next();
  }

  /** Stops reading. */
  return(): Promise<IteratorResult<AnswerEvent, undefined>> {
    return this.#events.return(undefined);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async *#follow(): AsyncGenerator<AnswerEvent, undefined> {
    const retries = this.#calls.retries(this.#options.timeout);
    const identity = "identity" in this.#followed ? this.#followed.identity : undefined;
    while (!this.#fold.ended) {
      const opened = now();
      let failed: ForebayError;
      try {
        yield* this.#oneStream(retries, identity);
        if (this.cursor && this.cursor === this.#afterCursor) {
          // Nothing lies behind the cursor we were given: it is the terminal event's.
          return;
        }
        failed = unavailable("the stream ended before the answer did");
      } catch (error) {
        failed = failure(error);
      }
      if (!this.#fold.ended) {
        retries.streamEnded(opened, now());
        await this.#calls.recover(failed, retries, this.#options, identity);
      }
    }
  }

  async *#oneStream(retries: Retries, identity?: Identity): AsyncGenerator<AnswerEvent> {
    const asked = identity !== undefined && !this.cursor;
    const response = await this.#calls.open(
      this.#call(),
      retries,
      this.#options,
      asked ? identity : undefined,
    );
    for await (const event of messages<AnswerEvent>(response, this.#options.signal)) {
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

  #call(): HttpCall {
    if ("question" in this.#followed && !this.cursor) {
      const { question } = this.#followed;
      return { verb: "POST", path: "/v1/queries:ask", headers: EVENTS, body: question };
    }
    const resumed: Record<string, string> = this.cursor ? { "Last-Event-ID": this.cursor } : {};
    return { verb: "GET", path: `/v1/${this.query}:stream`, headers: { ...EVENTS, ...resumed } };
  }
}
