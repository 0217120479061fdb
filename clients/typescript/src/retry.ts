/** When to try again, and after how long: no I/O and no clock of its own. Times are in ms. */
import type { Code, ForebayError } from "./errors.js";

// A second refusal in a row means that there is no better token, or that the clock is not what
// is wrong.
const ONCE: ReadonlySet<string> = new Set(["TOKEN_EXPIRED", "REQUEST_ID_OUT_OF_WINDOW"]);
const RESUMED = "READER_TOO_SLOW";
// The server gives every error of its own a reason; these codes without one come from the way.
const BROKEN: ReadonlySet<Code> = new Set(["CANCELLED", "INTERNAL", "UNKNOWN"]);
const BROKEN_ATTEMPTS = 3; // such an error may also be a defect that no attempt gets past
const SERVED = 3_000;

/** How long to wait between attempts: exponential, with jitter. */
export interface RetryPolicy {
  /** Before the second attempt. */
  readonly firstDelay: number;
  /** The most that the exponent leads to. */
  readonly longestDelay: number;
  /**
   * How long attempts may go on failing, from the first failure; a call's deadline ends them
   * before. Progress ends a row of failures.
   */
  readonly patience: number;
}

export const DEFAULT_RETRY: RetryPolicy = { firstDelay: 50, longestDelay: 2_000, patience: 30_000 };

/** The attempts of one logical call. */
export class Retries {
  readonly #policy: RetryPolicy;
  readonly #deadline: number;
  readonly #jitter: () => number;
  #failingSince: number | undefined;
  #failures = 0;
  #seen = new Set<string>();

  constructor(
    policy: RetryPolicy,
    options: { started: number; timeout?: number | undefined; jitter?: () => number },
  ) {
    this.#policy = policy;
    this.#deadline = options.started + (options.timeout ?? Infinity);
    this.#jitter = options.jitter ?? Math.random;
  }

  /** Until the call's deadline; Infinity without one. */
  remaining(now: number): number {
    return Math.max(0, this.#deadline - now);
  }

  /** The call came further: patience and back-off begin anew with the next failure. */
  progressed(): void {
    this.#failingSince = undefined;
    this.#failures = 0;
    this.#seen.clear();
  }

  /** A stream that stayed open was served, although nothing may have come on it. */
  streamEnded(opened: number, now: number): void {
    if (now - opened >= SERVED) {
      this.progressed();
    }
  }

  /** How long to wait before the next attempt; throws `error` when there will be none. */
  waitAfter(error: ForebayError, now: number): number {
    if (!this.#mayRetry(error)) {
      throw error;
    }
    const delay = this.#delay(error);
    this.#failures += 1;
    this.#seen.add(error.reason);
    this.#failingSince ??= now;
    if (now + delay >= Math.min(this.#failingSince + this.#policy.patience, this.#deadline)) {
      throw error;
    }
    return delay;
  }

  #mayRetry(error: ForebayError): boolean {
    if (ONCE.has(error.reason)) {
      return !this.#seen.has(error.reason);
    }
    if (error.code === "RESOURCE_EXHAUSTED") {
      return error.retryDelay !== undefined || error.reason === RESUMED;
    }
    if (BROKEN.has(error.code)) {
      return error.reason === "" && this.#failures < BROKEN_ATTEMPTS;
    }
    return error.code === "UNAVAILABLE";
  }

  #delay(error: ForebayError): number {
    if (ONCE.has(error.reason) && error.retryDelay === undefined) {
      return 0;
    }
    const ceiling = this.#policy.firstDelay * 2 ** Math.min(this.#failures, 16);
    // Between half and all of it: clients that failed together do not return together.
    const backoff = (Math.min(ceiling, this.#policy.longestDelay) * (1 + this.#jitter())) / 2;
    return Math.max(backoff, (error.retryDelay ?? 0) * (1 + this.#jitter() / 10));
  }
}
