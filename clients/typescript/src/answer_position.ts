/** Where a reader stands in an answer, and which events lie behind it. */
import { kindOf } from "./messages.js";
import type { AnswerEvent } from "./messages.js";

const SINGLE: ReadonlySet<string> = new Set(["accepted", "retrieved"]); // once per query

/**
 * Admits each event once, so that a resumed stream neither repeats nor skips.
 *
 * Cursors are opaque: what an event follows is told by its attempt and sequence where it has
 * them, and otherwise by its kind or its cursor.
 */
export class AnswerPosition {
  #cursor: string;
  readonly #reached = new Map<string, number>();
  readonly #seen: Set<string>;

  constructor(cursor = "") {
    this.#cursor = cursor;
    this.#seen = new Set(cursor ? [cursor] : []);
  }

  /** Behind the last event that was admitted. */
  get cursor(): string {
    return this.#cursor;
  }

  /** Whether the event is new; a new one moves the position. A heartbeat never is. */
  admit(event: AnswerEvent): boolean {
    const kind = kindOf(event);
    if (kind === "heartbeat" || (event.cursor && event.cursor === this.#cursor)) {
      return false;
    }
    const admitted = event.sequence ? this.#follows(event) : this.#isFirst(kind, event);
    if (admitted) {
      this.#cursor = event.cursor || this.#cursor;
    }
    return admitted;
  }

  #follows({ attempt = "", sequence = 0 }: AnswerEvent): boolean {
    const reached = this.#reached.get(attempt) ?? 0;
    this.#reached.set(attempt, Math.max(sequence, reached));
    return sequence > reached;
  }

  #isFirst(kind: string | undefined, event: AnswerEvent): boolean {
    const mark = kind && SINGLE.has(kind) ? kind : (event.cursor ?? "");
    const first = !mark || !this.#seen.has(mark);
    this.#seen.add(mark);
    return first;
  }
}
