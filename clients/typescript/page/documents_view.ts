/** Bringing documents in, and watching them until questions find them. */
import type { Client, Content, Document, ForebayError, Visibility } from "../src/index.js";
import { element, readable, required, StatusLine } from "./dom.js";
import { explained, reasonOf, tellable } from "./words.js";

const MOST = 4 * 1_048_576; // bytes, as the contract says
const TYPES: Readonly<Record<string, NonNullable<Document["mimeType"]>>> = {
  txt: "text/plain",
  md: "text/markdown",
  markdown: "text/markdown",
  html: "text/html",
  htm: "text/html",
  pdf: "application/pdf",
};

export class DocumentsView {
  readonly #form = required("upload", HTMLFormElement);
  readonly #file = required("file", HTMLInputElement);
  readonly #text = required("text", HTMLTextAreaElement);
  readonly #id = required("document-id", HTMLInputElement);
  readonly #collection = required("collection", HTMLInputElement);
  readonly #visibility = required("visibility", HTMLSelectElement);
  readonly #status = new StatusLine(required("upload-status", HTMLElement));
  readonly #uploads = required("uploads", HTMLElement);
  readonly #client: () => Client;

  /** `client` acts for whoever brings them. */
  constructor(client: () => Client) {
    this.#client = client;
    this.#file.addEventListener("change", () => this.#suggestName());
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#bring();
    });
  }

  #suggestName(): void {
    const name = this.#file.files?.[0]?.name.replace(/\.[^.]*$/, "") ?? "";
    if (name) {
      this.#id.value = name.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
      this.#id.value = this.#id.value.slice(0, 63);
    }
  }

  async #bring(): Promise<void> {
    const file = this.#file.files?.[0];
    const text = this.#text.value;
    if (!file && !text.trim()) {
      this.#status.say("failed", "Choose a file, or write its text.");
      return;
    }
    if ((file?.size ?? 0) > MOST) {
      this.#status.say("failed", "The file is over the limit of 4 MiB.");
      return;
    }
    const extension = file?.name.split(".").at(-1)?.toLowerCase() ?? "txt";
    const mimeType = TYPES[extension] ?? "text/plain";
    const content: Content = file ? { raw: new Uint8Array(await file.arrayBuffer()) } : { text };
    const visibility = this.#visibility.value as Visibility;
    const fields = { ...content, mimeType, visibility, title: file?.name ?? this.#id.value };
    const upload = new Upload(this.#id.value, this.#status);
    this.#uploads.prepend(upload.item);
    const sending = upload.follow(this.#client(), this.#collection.value, fields);
    this.#file.value = this.#text.value = this.#id.value = "";
    await sending;
  }
}

type Fields = Parameters<Client["ingest"]>[2];

/** One document on its way. */
class Upload {
  readonly item: HTMLElement;
  readonly #id: string;
  readonly #status: StatusLine;
  readonly #badge = element("span", "badge", "sending");
  readonly #note = element("span", "note");

  constructor(id: string, status: StatusLine) {
    this.#id = id;
    this.#status = status;
    this.item = element("li", "", element("span", "title", id), this.#badge, this.#note);
  }

  /** Sends it and watches it to its end. */
  async follow(client: Client, collection: string, fields: Fields): Promise<void> {
    const began = performance.now();
    this.#tell("", "sending", `Sending ${this.#id}.`);
    try {
      const receipt = await client.ingest(collection, this.#id, fields);
      this.#tell("warn", "accepted", `${this.#id} is safe in the log; questions find it soon.`);
      await client.waitIndexed(receipt.name ?? "", receipt.etag);
      const took = readable(performance.now() - began);
      this.#tell("good", "indexed", `${this.#id} is indexed: questions find it, after ${took}.`);
    } catch (error) {
      this.#fail(tellable(error));
    }
  }

  #tell(mood: string, state: string, text: string): void {
    this.#badge.className = `badge ${mood}`.trim();
    this.#badge.textContent = state;
    this.#note.textContent = "";
    this.#status.say("idle", text);
  }

  #fail(error: ForebayError): void {
    this.#tell("bad", "failed", `${this.#id} failed.`);
    this.#note.append(explained(error), " ", element("span", "reason", reasonOf(error)));
  }
}
