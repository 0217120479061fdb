/** Who asks: a development token of a tier, where the system gives any, or a token of one's own. */
import { Client, ForebayError } from "../src/index.js";
import type { Caller, Token } from "../src/index.js";
import { required, StatusLine } from "./dom.js";
import { explained, reasonOf, said, tellable } from "./words.js";

const DEVELOPMENT_PATH = "development/token";
const FIRST_TIER = "standard";
const OWN = "own";
const AHEAD = 30_000; // ms before its end that a token is replaced
const ROOT = new URL(".", document.baseURI).href;

export class Identity {
  readonly #status = new StatusLine(required("caller", HTMLElement));
  readonly #own = required("own", HTMLElement);
  readonly #input = required("token", HTMLInputElement);
  readonly #changed: () => void;
  #client: Client;

  /** `changed` hears of every other choice. */
  constructor(changed: () => void) {
    this.#changed = changed;
    this.#client = client(noToken);
    const form = required("identity", HTMLFormElement);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#useOwn();
    });
    const offered = document.querySelector<HTMLMetaElement>("meta[name=development-tokens]");
    if (offered?.content === "yes") {
      this.#offerTiers();
    } else {
      this.#own.hidden = false;
      this.#useOwn();
    }
  }

  /** Acts for whoever is chosen now; what was begun with an earlier one goes on as it began. */
  get client(): Client {
    return this.#client;
  }

  #offerTiers(): void {
    const tiers = required("tiers", HTMLFieldSetElement);
    tiers.hidden = false;
    for (const choice of tiers.querySelectorAll("input")) {
      choice.checked = choice.value === FIRST_TIER;
      choice.addEventListener("change", () => this.#choose(choice.value));
    }
    this.#choose(FIRST_TIER);
  }

  #choose(tier: string): void {
    this.#own.hidden = tier !== OWN;
    if (tier === OWN) {
      this.#useOwn();
    } else {
      this.#use(developmentToken(tier));
    }
  }

  #useOwn(): void {
    const token = this.#input.value.trim();
    this.#use(token || noToken);
  }

  #use(token: Token): void {
    this.#client = client(token);
    if (token === noToken) {
      this.#status.say("idle", "No token yet.");
    } else {
      void this.#introduce(this.#client);
    }
    this.#changed();
  }

  async #introduce(chosen: Client): Promise<void> {
    try {
      const caller = await chosen.caller();
      if (chosen === this.#client) {
        this.#status.say("idle", introduction(caller));
      }
    } catch (error) {
      const told = tellable(error);
      if (chosen === this.#client) {
        this.#status.say("failed", explained(told), reasonOf(told));
      }
    }
  }
}

function client(token: Token): Client {
  return new Client({ url: ROOT, token });
}

function introduction(caller: Caller): string {
  const may = (caller.scopes ?? []).join(", ") || "nothing";
  return (
    `${caller.subject} at ${caller.tenant}, ${caller.tier}: ` +
    `reads up to ${said(caller.clearance)}; may ${may}`
  );
}

function noToken(): never {
  throw new ForebayError("no token", { code: "UNAUTHENTICATED", reason: "TOKEN_MISSING" });
}

/** A token that is replaced before it ends, or when the server says that it has ended. */
function developmentToken(tier: string): Token {
  let kept: { token: string; until: number } | undefined;
  return async (refused) => {
    if (!kept || refused || Date.now() > kept.until) {
      const answer = await fetched(`${ROOT}${DEVELOPMENT_PATH}?tier=${tier}`);
      const { token, expiresIn } = (await answer.json()) as { token: string; expiresIn: string };
      kept = { token, until: Date.now() + parseInt(expiresIn, 10) * 1_000 - AHEAD };
    }
    return kept.token;
  };
}

async function fetched(url: string): Promise<Response> {
  const unavailable = { code: "UNAVAILABLE" } as const;
  const answer = await fetch(url, { method: "POST" }).catch((error: unknown) => {
    throw new ForebayError("the issuer cannot be reached", unavailable, { cause: error });
  });
  if (!answer.ok) {
    throw new ForebayError(
      "this address gets no development token: use the one that `forebay up` names, or paste a token",
      { code: "PERMISSION_DENIED" },
    );
  }
  return answer;
}
