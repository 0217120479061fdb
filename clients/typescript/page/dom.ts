/** The few things that the page does with its document. Text is always set as text. */

type Kind<T extends Element> = new () => T;

/** The element of that id, which the page's HTML has. */
export function required<T extends Element>(id: string, kind: Kind<T>): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) {
    throw new Error(`the page has no ${kind.name} #${id}`);
  }
  return found;
}

/** A new element with a class and what it holds. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className: string,
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (className) {
    made.className = className;
  }
  made.append(...children);
  return made;
}

export type Mood = "idle" | "busy" | "done" | "lost" | "failed";

/** A line that says how it goes, and is read out when it changes. */
export class StatusLine {
  readonly #line: HTMLElement;
  readonly #base: string;

  constructor(line: HTMLElement) {
    this.#line = line;
    this.#base = line.classList.contains("notice") ? "notice" : line.className;
  }

  /** Says something else; the reason, if there is one, stands behind it in its own form. */
  say(mood: Mood, text: string, reason = ""): void {
    this.#line.className = `${this.#base} ${mood}`;
    this.#line.replaceChildren(text);
    if (reason) {
      this.#line.append(" ", element("span", "reason", reason));
    }
  }
}

/** A time as people read it: `42 ms`, `1.3 s`. */
export function readable(milliseconds: number): string {
  const whole = Math.round(milliseconds);
  return whole < 1_000 ? `${whole} ms` : `${(milliseconds / 1_000).toFixed(1)} s`;
}
