/** Drives calls: a token for each attempt, the same request id for all, patience between. */
import { ForebayError, unavailable } from "./errors.js";
import { failureOfResponse } from "./failure.js";
import type { RequestIds } from "./request_id.js";
import { Retries } from "./retry.js";
import type { RetryPolicy } from "./retry.js";

/**
 * The bearer token, or what returns it: asked for each attempt, with the error that refused the
 * token before, so that one that keeps tokens knows when to get a new one.
 */
export type Token = string | ((refused?: ForebayError) => string | Promise<string>);

/** Hears that an attempt failed and that another follows after `delay` milliseconds. */
export type OnRetry = (error: ForebayError, delay: number) => void;

export interface CallOptions {
  /** Milliseconds that all attempts together may take. */
  readonly timeout?: number | undefined;
  /** Gives the call up; a query goes on without its reader. */
  readonly signal?: AbortSignal | undefined;
  readonly onRetry?: OnRetry | undefined;
}

export interface HttpCall {
  readonly verb: "GET" | "POST" | "PATCH" | "DELETE";
  readonly path: string;
  readonly parameters?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** The request id of one logical call. */
export interface Identity {
  id: string;
  /** Whether the id is ours to renew, and not the caller's. */
  readonly renewable: boolean;
}

export interface CallsOptions {
  readonly url: string;
  readonly token: Token;
  readonly fetch: typeof fetch;
  readonly ids: RequestIds;
  readonly policy: RetryPolicy;
  readonly timeout: number;
}

/** What every call of a client shares. */
export class Calls {
  readonly #options: CallsOptions;
  #refused: ForebayError | undefined;

  constructor(options: CallsOptions) {
    this.#options = options;
  }

  /** Gives a logical call its id: the caller's own, where there is one. */
  identify(own?: string): Identity {
    return own ? { id: own, renewable: false } : { id: this.#options.ids.next(), renewable: true };
  }

  /** The attempts of a call that begins now. */
  retries(timeout?: number): Retries {
    return new Retries(this.#options.policy, { started: now(), timeout });
  }

  /** One logical call, in as many attempts as its deadline and its errors allow. */
  async unary<T>(call: HttpCall, options: CallOptions = {}, identity?: Identity): Promise<T> {
    const retries = this.retries(options.timeout ?? this.#options.timeout);
    for (;;) {
      try {
        const response = await this.open(call, retries, options, identity);
        return (await arriving(response.json(), options.signal)) as T;
      } catch (error) {
        await this.recover(failure(error), retries, options, identity);
      }
    }
  }

  /** One attempt: the answer, once its head is there. Throws ForebayError for any but a good one. */
  async open(
    call: HttpCall,
    retries: Retries,
    options: CallOptions,
    identity?: Identity,
  ): Promise<Response> {
    const authorization = await this.#authorization();
    const url = new URL(this.#options.url.replace(/\/$/, "") + call.path);
    url.search = new URLSearchParams(call.parameters).toString();
    const sent = this.#options.fetch(url, {
      method: call.verb,
      headers: {
        ...call.headers,
        ...(call.body === undefined ? {} : { "Content-Type": "application/json" }),
        ...(identity ? { "Idempotency-Key": identity.id } : {}),
        Authorization: authorization,
      },
      body: call.body === undefined ? null : JSON.stringify(call.body),
      signal: within(retries.remaining(now()), options.signal),
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
    });
    const response = await arriving(sent, options.signal);
    if (!response.ok) {
      throw await arriving(failureOfResponse(response), options.signal);
    }
    return response;
  }

  /**
   * Waits until the next attempt is due, with a corrected clock if that was refused.
   *
   * Throws `error` when there will be no other attempt.
   */
  async recover(
    error: ForebayError,
    retries: Retries,
    options: CallOptions,
    identity?: Identity,
  ): Promise<void> {
    const refusedClock = error.reason === "REQUEST_ID_OUT_OF_WINDOW";
    if (refusedClock && !identity?.renewable) {
      throw error;
    }
    const delay = retries.waitAfter(error, now());
    if (refusedClock && identity) {
      this.#correctClock(error);
      identity.id = this.#options.ids.next();
    }
    if (error.code === "UNAUTHENTICATED") {
      this.#refused = error;
    }
    options.onRetry?.(error, delay);
    await sleep(delay, options.signal);
  }

  #correctClock(error: ForebayError): void {
    const serverTime = Date.parse(error.metadata["server_time"] ?? "");
    if (Number.isNaN(serverTime)) {
      throw error;
    }
    this.#options.ids.correct(serverTime);
  }

  async #authorization(): Promise<string> {
    const { token } = this.#options;
    const refused = this.#refused;
    this.#refused = undefined;
    return `Bearer ${typeof token === "string" ? token : await token(refused)}`;
  }
}

/** A clock that nobody sets, in milliseconds. */
export function now(): number {
  return performance.now();
}

/** The error as one that may be tried again; throws what is no failure of a call. */
export function failure(error: unknown): ForebayError {
  if (error instanceof ForebayError) {
    return error;
  }
  throw error;
}

/** Waits for something from the network; whatever breaks it becomes a ForebayError. */
export async function arriving<T>(arrival: Promise<T>, signal?: AbortSignal): Promise<T> {
  try {
    return await arrival;
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof DOMException && error.name === "TimeoutError") {
      throw new ForebayError("the call took too long", { code: "DEADLINE_EXCEEDED" });
    }
    throw unavailable("the connection broke off", error);
  }
}

/** Waits that many milliseconds, or throws the signal's reason once it is aborted. */
export function sleep(delay: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, delay);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

function within(remaining: number, signal?: AbortSignal): AbortSignal | null {
  if (!Number.isFinite(remaining)) {
    return signal ?? null;
  }
  const timeout = AbortSignal.timeout(Math.ceil(remaining));
  return signal ? AbortSignal.any([signal, timeout]) : timeout;
}
