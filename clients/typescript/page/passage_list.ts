/** What was found for a question, best first; each opens to its whole text. */
import type { Passage } from "../src/index.js";
import { element } from "./dom.js";
import { said } from "./words.js";

const MOODS: Readonly<Record<string, string>> = { public: "good", internal: "", confidential: "warn" };

export class PassageList {
  readonly #list: HTMLElement;
  readonly #empty: HTMLElement;
  #shown: HTMLDetailsElement[] = [];
  #titles: string[] = [];

  constructor(list: HTMLElement) {
    this.#list = list;
    this.#empty = element("li", "note", "None yet.");
  }

  /** Shows these in place of the former ones. */
  show(passages: readonly Passage[], none = "Nothing that you may see fits."): void {
    this.#titles = passages.map(titleOf);
    this.#shown = passages.map(details);
    this.#empty.textContent = none;
    const items = this.#shown.map((each) => element("li", "", each));
    this.#list.replaceChildren(...(items.length ? items : [this.#empty]));
  }

  /** Opens one, and takes the reader there. */
  open = (passage: number): void => {
    const opened = this.#shown[passage];
    if (!opened) {
      return;
    }
    this.#shown.forEach((each) => each.classList.toggle("shown", each === opened));
    opened.open = true;
    opened.scrollIntoView({ block: "nearest" });
    opened.querySelector("summary")?.focus();
  };

  /** The answer rests on one. */
  cite(passage: number): void {
    this.#shown[passage]?.classList.add("cited");
  }

  /** The answer begins anew, and rests on none yet. */
  forgetCitations(): void {
    this.#shown.forEach((each) => each.classList.remove("cited"));
  }

  titleOf = (passage: number): string => this.#titles[passage] ?? "";
}

function titleOf(passage: Passage): string {
  return passage.title || (passage.document ?? "").split("/").at(-1) || "Untitled";
}

function details(passage: Passage, position: number): HTMLDetailsElement {
  const visibility = said(passage.visibility);
  const text = passage.text ?? "";
  return element(
    "details",
    "",
    element(
      "summary",
      "",
      element("span", "number", String(position + 1)),
      element("span", "title", titleOf(passage)),
      element("span", `badge ${MOODS[visibility] ?? ""}`.trim(), visibility),
      ...under(passage),
      element("span", "excerpt", text),
    ),
    element("div", "inside", ...inside(passage, text)),
  );
}

/** The heading right above the passage, where it says more than the title. */
function under({ headings = [] }: Passage): HTMLElement[] {
  const heading = headings.at(-1);
  return heading && headings.length > 1 ? [element("span", "under", heading)] : [];
}

function inside(passage: Passage, text: string): HTMLElement[] {
  const place = [passage.document, passage.sourceUri].filter(Boolean).join(" · ");
  const parts = [element("p", "passage", text), element("p", "note", place)];
  if (passage.headings?.length) {
    parts.unshift(element("p", "note", passage.headings.join(" › ")));
  }
  return parts;
}
