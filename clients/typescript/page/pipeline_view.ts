/** The pipeline, live: what each stage does, and how far it is behind. */
import type { Client, StageStatus } from "../src/index.js";
import { element, required, StatusLine } from "./dom.js";
import { explained, reasonOf, said, tellable } from "./words.js";

const SECONDS = 2;
const LANES: Readonly<Record<string, string>> = {
  cataloguing: "Documents",
  chunking: "Documents",
  embedding: "Documents",
  retrieval: "Questions",
  generation: "Questions",
};
const BESIDE = "Beside them"; // what reads along, and holds up nobody
const WORK: Readonly<Record<string, string>> = {
  cataloguing: "Keeps what exists, and which version is the newest.",
  chunking: "Cuts documents into passages.",
  embedding: "Gives passages their place in the index.",
  retrieval: "Finds what the asker may see.",
  generation: "Writes the answer from it.",
  auditing: "Writes down who did what.",
};
const MOODS: Readonly<Record<string, string>> = {
  STATE_RUNNING: "good",
  STATE_THROTTLED: "warn",
  STATE_HALTED: "bad",
  STATE_ABSENT: "bad",
};

export class PipelineView {
  readonly #status = new StatusLine(required("pipeline-status", HTMLElement));
  readonly #pause = required("pause", HTMLButtonElement);
  readonly #lanes = required("lanes", HTMLElement);
  readonly #client: () => Client;
  #cards = new Map<string, StageCard>();
  #watching: AbortController | undefined;
  #visible = false;
  #paused = false;

  /** `client` acts for whoever looks. */
  constructor(client: () => Client) {
    this.#client = client;
    this.#pause.addEventListener("click", () => {
      this.#paused = !this.#paused;
      this.#pause.textContent = this.#paused ? "Go on" : "Pause";
      this.restart();
    });
  }

  /** Whether anybody sees it: it asks nothing otherwise. */
  set visible(visible: boolean) {
    this.#visible = visible;
    this.restart();
  }

  /** Begins anew, for whoever looks now. */
  restart(): void {
    this.#watching?.abort();
    this.#watching = undefined;
    if (this.#visible && this.#paused) {
      this.#status.say("idle", "Paused.");
    } else if (this.#visible) {
      this.#watching = new AbortController();
      void this.#watch(this.#watching.signal);
    }
  }

  async #watch(signal: AbortSignal): Promise<void> {
    this.#status.say("idle", "Looking.");
    let live = false;
    const onRetry = (): void => {
      live = false;
      this.#status.say("lost", "The connection was lost. This is how it was before.");
    };
    try {
      const statuses = this.#client().watchPipeline(SECONDS, { signal, onRetry });
      for await (const { stages = [] } of statuses) {
        // Said once: whoever hears it needs no word every two seconds.
        if (!live) {
          live = true;
          this.#status.say("idle", `Live: renewed every ${SECONDS} seconds. Counts are of records.`);
        }
        this.#show(stages);
      }
    } catch (error) {
      if (!signal.aborted) {
        const told = tellable(error);
        this.#lanes.replaceChildren();
        this.#cards.clear();
        this.#status.say("failed", explained(told), reasonOf(told));
      }
    }
  }

  #show(stages: readonly StageStatus[]): void {
    const names = stages.map((each) => each.stage ?? "");
    if (names.join() !== [...this.#cards.keys()].join()) {
      this.#cards = new Map(names.map((name) => [name, new StageCard(name)]));
      const lanes = new Set(names.map(laneOf));
      this.#lanes.replaceChildren(...[...lanes].map((lane) => this.#lane(lane)));
    }
    for (const stage of stages) {
      this.#cards.get(stage.stage ?? "")?.show(stage);
    }
  }

  #lane(title: string): HTMLElement {
    const held = [...this.#cards].filter(([name]) => laneOf(name) === title);
    const cards = held.map(([, card]) => card.item);
    return element("section", "lane", element("h2", "", title), element("ol", "stages", ...cards));
  }
}

function laneOf(stage: string): string {
  return LANES[stage] ?? BESIDE;
}

/** One stage; its figures change in place. */
class StageCard {
  readonly item: HTMLElement;
  readonly #state = element("span", "badge");
  readonly #figures = element("dl", "");

  constructor(name: string) {
    const head = element("header", "", element("h3", "", name), this.#state);
    const work = element("p", "note", WORK[name] ?? "");
    this.item = element("li", "stage", head, work, this.#figures);
  }

  show(stage: StageStatus): void {
    const { state = "", workers = 0, lag = "0", rate = 0, oldestAge, deadLetters = "0" } = stage;
    this.#state.className = `badge ${MOODS[state] ?? ""}`.trim();
    this.#state.textContent = state === "STATE_ABSENT" ? "no worker" : said(state);
    const figures = {
      Waiting: lag,
      "Oldest of them": oldestAge ? `${parseFloat(oldestAge).toFixed(1)} s` : "–",
      "Finished per second": rate.toFixed(1),
      "Tried again later": stage.pendingRetries ?? "0",
      "Given up": deadLetters,
      Workers: String(workers),
    };
    this.#figures.replaceChildren(
      ...Object.entries(figures).flatMap(([name, value]) => [
        element("dt", "", name),
        element("dd", "", value),
      ]),
    );
  }
}
