/** What went wrong, in words for people. */
import { ForebayError } from "../src/index.js";

type Say = (metadata: Readonly<Record<string, string>>, error: ForebayError) => string;

const REASONS: Readonly<Record<string, Say>> = {
  TOKEN_MISSING: () => "Say who you are first: choose or paste a token above.",
  TOKEN_INVALID: () => "The server does not trust this token. Paste another one above.",
  TOKEN_EXPIRED: () => "This token has expired. Choose or paste another one above.",
  ISSUER_UNAVAILABLE: () => "Nobody can say just now whether tokens are good. Try again soon.",
  SCOPE_MISSING: ({ scope }) => `This token lacks the scope “${scope}”, which this needs.`,
  TIER_UNKNOWN: ({ tier }) => `The policy knows no tier “${tier}”.`,
  CLEARANCE_TOO_LOW: ({ clearance, visibility }) =>
    `You are cleared for ${said(clearance)}, and this is ${said(visibility)}.`,
  DOCUMENT_TOO_LARGE: ({ limit_bytes }) =>
    `The document is over the limit of ${mebibytes(limit_bytes)}.`,
  DOCUMENT_UNPARSEABLE: () => "The file is not what its type says, so nothing can be read from it.",
  DOCUMENT_EMPTY: () => "There is no text in this document; a scan holds pictures alone.",
  DOCUMENT_TEXT_TOO_LARGE: () => "There is more text in this document than can be indexed.",
  DOCUMENT_PARSER_TIMEOUT: () => "Reading this document took too long.",
  LIMIT_REACHED: ({ limit, value }, error) =>
    `You have reached a limit of your tier: ${value} ${said(limit)}. ${again(error)}`,
  PIPELINE_OVERLOADED: (_, error) =>
    `Too many questions are waiting for this one to be answered in time. ${again(error)}`,
  LOG_UNAVAILABLE: () => "The log does not answer, so nothing was taken on. Try again soon.",
  INDEX_UNAVAILABLE: () => "The index does not answer just now. Try again soon.",
  QUERY_EXPIRED: () => "The answer was not whole in time.",
  QUERY_NOT_FOUND: () => "This question is not known any more, or it is not yours.",
  MODEL_THROTTLED: () => "The model asks to slow down. Try again soon.",
  MODEL_UNAVAILABLE: () => "The model does not answer. Try again soon.",
  MODEL_REFUSED: () => "The model refuses this request.",
  ATTEMPTS_EXHAUSTED: () => "Every attempt at an answer failed. Ask once more.",
  INTERNAL: () => "Something is broken on the server.",
};

/** What to tell somebody about an error. */
export function explained(error: ForebayError): string {
  const say = REASONS[error.reason];
  if (say) {
    return say(error.metadata, error).trim();
  }
  const [violation] = error.violations;
  if (violation) {
    return `${violation.field || "The request"}: ${violation.description}.`;
  }
  if (error.code === "UNAVAILABLE") {
    return "The server cannot be reached.";
  }
  return `${error.message.charAt(0).toUpperCase()}${error.message.slice(1)}.`;
}

/** The reason as the contract names it, for those who look it up. */
export function reasonOf(error: ForebayError): string {
  return error.reason ? `${error.code} · ${error.reason}` : error.code;
}

/** An error that people can be told of; throws what is a defect of the page. */
export function tellable(error: unknown): ForebayError {
  if (error instanceof ForebayError) {
    return error;
  }
  throw error;
}

/** A name of the contract as a word: VISIBILITY_PUBLIC is `public`. */
export function said(name = ""): string {
  return name.replace(/^(VISIBILITY|STATE)_/, "").replaceAll("_", " ").toLowerCase();
}

function again({ retryDelay }: ForebayError): string {
  return retryDelay === undefined ? "" : `Try again in ${Math.ceil(retryDelay / 1_000)} s.`;
}

function mebibytes(bytes = ""): string {
  return `${Math.round((Number(bytes) / 1_048_576) * 10) / 10} MiB`;
}
