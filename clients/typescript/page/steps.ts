/** How far a question has come, and after which time. */
import { readable } from "./dom.js";

export class Steps {
  readonly #list: HTMLElement;
  readonly #items: ReadonlyMap<string, HTMLElement>;
  #began = 0;

  constructor(list: HTMLElement) {
    this.#list = list;
    const items = list.querySelectorAll<HTMLElement>("[data-step]");
    this.#items = new Map([...items].map((item) => [item.dataset["step"] ?? "", item]));
  }

  /** A question was sent. */
  begin(): void {
    this.#began = performance.now();
    this.#list.hidden = false;
    for (const item of this.#items.values()) {
      item.classList.remove("reached");
      item.querySelector(".time")!.textContent = "";
    }
  }

  /** It came so far; a step counts once. */
  reach(step: string): void {
    const item = this.#items.get(step);
    if (item && !item.classList.contains("reached")) {
      item.classList.add("reached");
      item.querySelector(".time")!.textContent = readable(performance.now() - this.#began);
    }
  }

  /** It will come no further. */
  fail(): void {
    this.#list.hidden = ![...this.#items.values()].some((each) =>
      each.classList.contains("reached"),
    );
  }
}
