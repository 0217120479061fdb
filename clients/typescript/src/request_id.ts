/** Request ids: UUIDv7 (RFC 9562, section 5.7), by a clock that the server may correct. */

const COUNTER_BITS = 42n; // RFC 9562, 6.2 method 1, over rand_a and the upper 30 bits of rand_b
const COUNTER_START_BITS = 41n; // the top bit starts clear: 2 ** 41 ids fit into a millisecond
const RANDOM_BITS = 32n; // what is left of rand_b tells processes apart
const SAME_CLOCK = 60_000; // ms; the server refuses ids that are further ahead, and only those

/** Makes request ids that rise strictly, also within one millisecond. */
export class RequestIds {
  readonly #clock: () => number;
  #offset = 0;
  #milliseconds = 0;
  #counter = 0n;

  /** `clock` gives milliseconds since the epoch. */
  constructor(clock: () => number = Date.now) {
    this.#clock = clock;
  }

  /** The next id, in lower case. */
  next(): string {
    this.#advance();
    const low = COUNTER_BITS - 12n;
    const value =
      (BigInt(this.#milliseconds) << 80n) |
      (0x7n << 76n) |
      ((this.#counter >> low) << 64n) |
      (0b10n << 62n) |
      ((this.#counter & ((1n << low) - 1n)) << RANDOM_BITS) |
      random(RANDOM_BITS);
    const hex = value.toString(16).padStart(32, "0");
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  }

  /**
   * Sets the clock to the server's, in milliseconds since the epoch.
   *
   * Ids that were refused for being ahead were never used: those that follow may be earlier.
   */
  correct(serverTime: number): void {
    this.#offset = serverTime - this.#clock();
    if (this.#milliseconds > serverTime + SAME_CLOCK) {
      this.#milliseconds = 0;
    }
  }

  #advance(): void {
    const now = Math.trunc(this.#clock() + this.#offset);
    if (now > this.#milliseconds) {
      this.#milliseconds = now;
      this.#counter = random(COUNTER_START_BITS);
    } else {
      this.#counter += 1n;
    }
    if (this.#counter >> COUNTER_BITS) {
      this.#milliseconds += 1;
      this.#counter = 0n;
    }
  }
}

function random(bits: bigint): bigint {
  const words = crypto.getRandomValues(new Uint32Array(2));
  return ((BigInt(words[0]!) << 32n) | BigInt(words[1]!)) & ((1n << bits) - 1n);
}
