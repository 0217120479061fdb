/** A document's content as JSON carries it. */
import type { Document } from "./messages.js";

const PIECE = 0x8000; // bytes; engines take no more than some 65,000 arguments in a call

/** Text, or bytes of what the MIME type says; up to 4 MiB. */
export type Content =
  | { readonly text: string; readonly raw?: never }
  | { readonly raw: Uint8Array; readonly text?: never };

/** The content's member of the contract's message. */
export function contentOf(content: Content): Pick<Document, "text" | "raw"> {
  return content.raw === undefined ? { text: content.text } : { raw: base64(content.raw) };
}

function base64(bytes: Uint8Array): string {
  let binary = "";
  for (let start = 0; start < bytes.length; start += PIECE) {
    binary += String.fromCharCode(...bytes.subarray(start, start + PIECE));
  }
  return btoa(binary);
}
