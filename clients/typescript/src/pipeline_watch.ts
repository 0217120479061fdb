/** The status of the pipeline, again and again, over as many streams as it takes. */
import { EVENTS } from "./answer_stream.js";
import { failure } from "./calls.js";
import type { CallOptions, Calls, HttpCall } from "./calls.js";
import { unavailable } from "./errors.js";
import type { ForebayError } from "./errors.js";
import { messages } from "./events.js";
import type { PipelineStatus } from "./messages.js";

/**
 * One status after the other; never ends by itself.
 *
 * A stream that breaks is opened again: each status is whole, so there is nothing to resume behind.
 */
export async function* watchPipeline(
  calls: Calls,
  seconds: number,
  options: CallOptions,
): AsyncGenerator<PipelineStatus, never> {
  const retries = calls.retries();
  const parameters = { interval: `${seconds}s` };
  const call: HttpCall = { verb: "GET", path: "/v1/pipeline:watch", parameters, headers: EVENTS };
  for (;;) {
    let failed: ForebayError;
    try {
      const response = await calls.open(call, retries, options);
      for await (const status of messages<PipelineStatus>(response, options.signal)) {
        retries.progressed();
        yield status;
      }
      failed = unavailable("the stream ended");
    } catch (error) {
      failed = failure(error);
    }
    await calls.recover(failed, retries, options);
  }
}
