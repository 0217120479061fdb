/** The client. */
import { AnswerStream } from "./answer_stream.js";
import { Calls } from "./calls.js";
import type { CallOptions, Token } from "./calls.js";
import { watchDocument } from "./document_watch.js";
import { contentOf } from "./document_content.js";
import type { Content } from "./document_content.js";
import type {
  Caller,
  Document,
  DocumentPage,
  PipelineStatus,
  Query,
  Question,
} from "./messages.js";
import { watchPipeline } from "./pipeline_watch.js";
import { RequestIds } from "./request_id.js";
import { DEFAULT_RETRY } from "./retry.js";
import type { RetryPolicy } from "./retry.js";

const CALL = 30_000;
const QUERY = 60_000; // what the contract gives a query that names no timeout
const LONGEST_QUERY = 600_000; // the most that the contract gives
const GRACE = 30_000; // a server tells an expired query's end within this
const WAIT = 60_000;
const WATCH_SECONDS = 2;

export interface ClientOptions {
  /** Where the edge serves HTTP, such as `http://127.0.0.1:8080`. */
  readonly url: string;
  readonly token: Token;
  /** Milliseconds for a call that does not say otherwise. */
  readonly timeout?: number;
  readonly retry?: RetryPolicy;
  /** In place of the platform's own. */
  readonly fetch?: typeof fetch;
  readonly ids?: RequestIds;
}

/** What a question may say beside its text; `queryTimeout` in milliseconds. */
export type QuestionOptions = Pick<Question, "collections" | "filter" | "topK" | "mode"> &
  Identified & { readonly queryTimeout?: number };

export interface Identified extends CallOptions {
  /** A UUIDv7 of your own, for a retry that outlives this process. */
  readonly requestId?: string;
}

/** What a document brings beside its place. */
export type DocumentFields = Content &
  Pick<Document, "title" | "mimeType" | "visibility" | "readers" | "labels" | "sourceUri">;

/** What of a document may change without new content; each is replaced whole. */
export type DocumentChanges = Pick<Document, "visibility" | "readers" | "labels">;

/**
 * Asks questions, brings documents in, and watches the pipeline.
 *
 * Every method may throw ForebayError. What may be retried is retried within the deadline under
 * the same request id, so that it takes effect once.
 */
export class Client {
  readonly #calls: Calls;

  constructor(options: ClientOptions) {
    this.#calls = new Calls({
      url: options.url,
      token: options.token,
      fetch: options.fetch ?? ((...request) => fetch(...request)),
      ids: options.ids ?? new RequestIds(),
      policy: options.retry ?? DEFAULT_RETRY,
      timeout: options.timeout ?? CALL,
    });
  }

  /** Asks a question of up to 16,384 bytes; iterate over its events, or await `.answer()`. */
  ask(text: string, options: QuestionOptions = {}): AnswerStream {
    const timeout = options.timeout ?? (options.queryTimeout ?? QUERY) + GRACE;
    const identity = this.#calls.identify(options.requestId);
    const followed = { question: question(text, options), identity };
    return new AnswerStream(this.#calls, followed, { ...options, timeout });
  }

  /** Puts a question into the log and returns before it is answered. */
  submit(text: string, options: QuestionOptions = {}): Promise<Query> {
    const body = question(text, options);
    const identity = this.#calls.identify(options.requestId);
    return this.#calls.unary({ verb: "POST", path: "/v1/queries", body }, options, identity);
  }

  /** Follows a query from its beginning, or behind a cursor, until it ends. */
  follow(name: string, afterCursor = "", options: CallOptions = {}): AnswerStream {
    const timeout = options.timeout ?? LONGEST_QUERY + GRACE;
    return new AnswerStream(this.#calls, { query: name, afterCursor }, { ...options, timeout });
  }

  /** The query as its events up to now tell it; with `waitSeconds`, once it ended or they are over. */
  getQuery(name: string, options: CallOptions & { waitSeconds?: number } = {}): Promise<Query> {
    const { waitSeconds } = options;
    const headers: Record<string, string> = waitSeconds ? { Prefer: `wait=${waitSeconds}` } : {};
    const timeout = options.timeout ?? CALL + (waitSeconds ?? 0) * 1000;
    return this.#calls.unary(
      { verb: "GET", path: `/v1/${name}`, headers },
      { ...options, timeout },
    );
  }

  /** Ends a query; one that had completed before stays so. */
  cancelQuery(name: string, options: CallOptions = {}): Promise<Query> {
    return this.#calls.unary({ verb: "POST", path: `/v1/${name}:cancel`, body: {} }, options);
  }

  /** Who the server takes you for and what you may do. */
  caller(options: CallOptions = {}): Promise<Caller> {
    return this.#calls.unary({ verb: "GET", path: "/v1/caller" }, options);
  }

  /**
   * Brings a document's new version; returns its receipt once it is safe in the log.
   *
   * `waitIndexed(document.name, document.etag)` tells when questions find it.
   */
  ingest(
    collection: string,
    documentId: string,
    fields: DocumentFields,
    options: Identified = {},
  ): Promise<Document> {
    const body = { documentId, document: { ...fields, ...contentOf(fields) } };
    const path = `/v1/${collectionName(collection)}/documents:ingest`;
    const identity = this.#calls.identify(options.requestId);
    return this.#calls.unary({ verb: "POST", path, body }, options, identity);
  }

  /** What is known of a document, of its newest version or the one that `etag` names. */
  getDocument(name: string, etag = "", options: CallOptions = {}): Promise<Document> {
    const parameters: Record<string, string> = etag ? { etag } : {};
    return this.#calls.unary({ verb: "GET", path: `/v1/${name}`, parameters }, options);
  }

  /** The documents of a collection, by name, over all pages. */
  async *listDocuments(collection: string, options: CallOptions = {}): AsyncGenerator<Document> {
    const path = `/v1/${collectionName(collection)}/documents`;
    let pageToken: string | undefined = "";
    do {
      const parameters: Record<string, string> = pageToken ? { pageToken } : {};
      const page: DocumentPage = await this.#calls.unary(
        { verb: "GET", path, parameters },
        options,
      );
      yield* page.documents ?? [];
      pageToken = page.nextPageToken;
    } while (pageToken);
  }

  /** Changes who may read a document, or its labels; with `etag`, only if it still has that one. */
  updateDocument(
    name: string,
    changes: DocumentChanges,
    options: Identified & { readonly etag?: string } = {},
  ): Promise<Document> {
    const parameters = { updateMask: Object.keys(changes).join(",") };
    const headers: Record<string, string> = options.etag ? { "If-Match": `"${options.etag}"` } : {};
    return this.#calls.unary(
      { verb: "PATCH", path: `/v1/${name}`, parameters, headers, body: changes },
      options,
      this.#calls.identify(options.requestId),
    );
  }

  /** Takes a document out, with all versions up to now; one that is not there is no error. */
  async deleteDocument(name: string, options: Identified = {}): Promise<void> {
    const identity = this.#calls.identify(options.requestId);
    await this.#calls.unary({ verb: "DELETE", path: `/v1/${name}` }, options, identity);
  }

  /**
   * Waits until questions find a document's version; returns the document.
   *
   * Throws DocumentFailed, DocumentSuperseded, or DEADLINE_EXCEEDED after `timeout` (a minute).
   */
  waitIndexed(name: string, etag = "", options: CallOptions = {}): Promise<Document> {
    return watchDocument(this.#calls, name, etag, { ...options, timeout: options.timeout ?? WAIT });
  }

  /**
   * The status of the pipeline now, and again every `seconds` (1 to 60), until you leave.
   *
   * Needs the scope `operate`.
   */
  watchPipeline(
    seconds = WATCH_SECONDS,
    options: CallOptions = {},
  ): AsyncGenerator<PipelineStatus, never> {
    return watchPipeline(this.#calls, seconds, options);
  }
}

function question(text: string, options: QuestionOptions): Question {
  const { collections, filter, topK, mode, queryTimeout } = options;
  return {
    text,
    ...(collections && { collections: collections.map(collectionName) }),
    ...(filter && { filter }),
    ...(topK && { topK }),
    ...(mode && { mode }),
    ...(queryTimeout && { timeout: `${queryTimeout / 1000}s` }),
  };
}

function collectionName(collection: string): string {
  return collection.startsWith("collections/") ? collection : `collections/${collection}`;
}
