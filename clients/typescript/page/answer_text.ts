/** An answer that grows, with marks where a part of it rests on a passage. */
import type { CitedPart } from "../src/index.js";
import { element } from "./dom.js";
import { indexOfByte } from "./text_offsets.js";

export class AnswerText {
  readonly #home: HTMLElement;
  readonly #open: (passage: number) => void;
  readonly #titleOf: (passage: number) => string;
  #text = "";

  /** `open` shows a passage when its mark is pressed, `titleOf` names it for the mark. */
  constructor(
    home: HTMLElement,
    passages: { open: (passage: number) => void; titleOf: (passage: number) => string },
  ) {
    this.#home = home;
    this.#open = passages.open;
    this.#titleOf = passages.titleOf;
  }

  /** The answer begins anew. */
  clear(): void {
    this.#text = "";
    this.#home.replaceChildren();
  }

  /** The answer grew. */
  append(text: string): void {
    this.#text += text;
    const last = this.#home.lastChild;
    if (last instanceof Text) {
      last.appendData(text);
    } else {
      this.#home.append(text);
    }
  }

  /** A part of it rests on a passage: a mark stands behind the part. */
  cite({ passage, end }: CitedPart): void {
    const mark = element("button", "mark", String(passage + 1));
    mark.type = "button";
    mark.setAttribute("aria-label", `Passage ${passage + 1}: ${this.#titleOf(passage)}`);
    mark.addEventListener("click", () => this.#open(passage));
    this.#insert(mark, indexOfByte(this.#text, end));
  }

  /** The answer is whole: this is it, whatever was shown before. */
  settle(answer: string): void {
    if (this.#text !== answer) {
      this.clear();
      this.append(answer);
    }
  }

  #insert(mark: HTMLElement, index: number): void {
    let left = index;
    let place: ChildNode | null = this.#home.firstChild;
    for (; place; place = place.nextSibling) {
      if (!(place instanceof Text)) {
        if (left > 0) {
          continue; // another mark
        }
        break;
      }
      if (left < place.length) {
        place = left > 0 ? place.splitText(left) : place;
        break;
      }
      left -= place.length;
    }
    // Behind the marks that stand there already.
    while (place instanceof HTMLElement) {
      place = place.nextSibling;
    }
    this.#home.insertBefore(mark, place);
  }
}
