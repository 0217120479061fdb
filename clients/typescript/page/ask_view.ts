/** Asking: a question, the passages that were found, and the answer while it is written. */
import { citedPart, ForebayError, kindOf, QueryCancelled } from "../src/index.js";
import type { AnswerEvent, AnswerStream, Client, FinishReason, OnRetry } from "../src/index.js";
import { AnswerText } from "./answer_text.js";
import { readable, required, StatusLine } from "./dom.js";
import { PassageList } from "./passage_list.js";
import { Steps } from "./steps.js";
import { explained, reasonOf, tellable } from "./words.js";

const ENDS: Readonly<Partial<Record<FinishReason, string>>> = {
  FINISH_REASON_LENGTH: "The answer ends here: your tier allows no longer one.",
  FINISH_REASON_NO_EVIDENCE:
    "Nothing that you may see answers this. Bring a document in, or ask in another tier.",
};

export class AskView {
  readonly #question = required("question", HTMLTextAreaElement);
  readonly #submit = required("ask-form", HTMLFormElement).querySelector("button")!;
  readonly #stop = required("stop", HTMLButtonElement);
  readonly #result = required("result", HTMLElement);
  readonly #answer = this.#result.querySelector(".answer")!;
  readonly #status = new StatusLine(required("ask-status", HTMLElement));
  readonly #steps = new Steps(required("steps", HTMLElement));
  readonly #passages = new PassageList(required("passages", HTMLElement));
  readonly #text = new AnswerText(required("answer", HTMLElement), this.#passages);
  readonly #client: () => Client;
  #running: { stream: AnswerStream; client: Client } | undefined;
  #lost = false;
  #wasLost = false;

  /** `client` acts for whoever asks. */
  constructor(client: () => Client) {
    this.#client = client;
    const form = required("ask-form", HTMLFormElement);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#ask();
    });
    this.#question.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        form.requestSubmit();
      }
    });
    this.#stop.addEventListener("click", () => void this.#cancel());
  }

  async #ask(): Promise<void> {
    const question = this.#question.value.trim();
    if (this.#running || !question) {
      return;
    }
    const client = this.#client();
    const onRetry: OnRetry = (error, delay) => this.#interrupted(error, delay);
    const stream = client.ask(question, { onRetry });
    this.#running = { stream, client };
    this.#begin(question);
    try {
      for await (const event of stream) {
        this.#show(event);
      }
      await stream.answer(); // which throws where there is none
    } catch (error) {
      this.#fail(tellable(error));
    } finally {
      this.#running = undefined;
      this.#settle();
    }
  }

  #begin(question: string): void {
    this.#lost = this.#wasLost = false;
    this.#steps.begin();
    this.#text.clear();
    this.#passages.show([], "None yet.");
    required("cost", HTMLElement).textContent = "";
    required("asked", HTMLElement).textContent = question;
    this.#result.hidden = true;
    this.#submit.setAttribute("aria-disabled", "true");
    this.#stop.hidden = false;
    this.#status.say("busy", "Sending your question.");
  }

  #show(event: AnswerEvent): void {
    if (this.#lost) {
      this.#lost = false;
      this.#status.say("busy", "Connected again: the answer goes on where it stopped.");
    }
    this.#steps.reach(kindOf(event) ?? "");
    if (event.accepted) {
      this.#status.say("busy", "Your question is safe in the log. Looking for passages.");
    } else if (event.retrieved) {
      this.#retrieved(event.retrieved);
    } else if (event.restarted) {
      this.#text.clear();
      this.#passages.forgetCitations();
      this.#status.say("busy", "The answer begins anew: what was written of it broke off.");
    } else if (event.delta) {
      this.#text.append(event.delta.text ?? "");
    } else if (event.citation) {
      const part = citedPart(event.citation);
      this.#text.cite(part);
      this.#passages.cite(part.passage);
    } else if (event.usage) {
      this.#tellCost(event.usage);
    } else if (event.completed) {
      this.#complete(event.completed);
    }
  }

  #retrieved({ passages = [] }: NonNullable<AnswerEvent["retrieved"]>): void {
    this.#passages.show(passages);
    this.#result.hidden = false;
    this.#answer.classList.add("growing");
    const found = passages.length === 1 ? "1 passage" : `${passages.length || "No"} passages`;
    this.#status.say("busy", `${found} found. Writing the answer.`);
  }

  #complete({ answer = "", finishReason }: NonNullable<AnswerEvent["completed"]>): void {
    this.#result.hidden = false;
    this.#text.settle(answer);
    const end = (finishReason && ENDS[finishReason]) ?? "The answer is whole.";
    const way = this.#wasLost ? " The connection was lost on the way; nothing is missing." : "";
    this.#status.say("done", end + way);
  }

  #tellCost({ model, inputTokens = "0", outputTokens = "0" }: AnswerEvent["usage"] & {}): void {
    if (model) {
      const cost = `${model} read ${inputTokens} tokens and wrote ${outputTokens}.`;
      required("cost", HTMLElement).textContent = cost;
    }
  }

  #interrupted(error: ForebayError, delay: number): void {
    if (delay === 0) {
      return; // a fresh token or a corrected clock: nobody waits for it
    }
    this.#lost = true;
    if (error.reason) {
      const when = readable(delay);
      this.#status.say("lost", `Not just now: trying again in ${when}.`, reasonOf(error));
    } else {
      this.#wasLost = true;
      const going = "The connection was lost. The answer goes on once it is back.";
      this.#status.say("lost", going);
    }
  }

  #fail(error: ForebayError): void {
    if (error instanceof QueryCancelled) {
      this.#status.say("idle", "Stopped, as you wished.");
    } else {
      this.#steps.fail();
      required("cost", HTMLElement).textContent = "No answer came to its end.";
      this.#status.say("failed", explained(error), reasonOf(error));
    }
  }

  #settle(): void {
    this.#answer.classList.remove("growing");
    this.#submit.removeAttribute("aria-disabled");
    if (document.activeElement === this.#stop) {
      this.#question.focus();
    }
    this.#stop.hidden = true;
  }

  async #cancel(): Promise<void> {
    const running = this.#running;
    if (!running?.stream.query) {
      return;
    }
    try {
      await running.client.cancelQuery(running.stream.query);
    } catch (error) {
      const told = tellable(error);
      this.#status.say("failed", explained(told), reasonOf(told));
    }
  }
}
