/** The page: three views of one system, and who looks at them. */
import { AskView } from "./ask_view.js";
import { DocumentsView } from "./documents_view.js";
import { required } from "./dom.js";
import { Identity } from "./identity.js";
import { PipelineView } from "./pipeline_view.js";

const VIEWS = ["ask", "documents", "pipeline"] as const;

const pipeline = new PipelineView(() => identity.client);
const identity: Identity = new Identity(() => pipeline.restart());
new AskView(() => identity.client);
new DocumentsView(() => identity.client);

function show(focus: boolean): void {
  const wanted = location.hash.slice(1) || VIEWS[0];
  if (!VIEWS.some((view) => view === wanted)) {
    return; // a link within the page
  }
  for (const view of VIEWS) {
    required(`${view}-view`, HTMLElement).hidden = view !== wanted;
    const link = document.querySelector(`nav a[href="#${view}"]`);
    if (view === wanted) {
      link?.setAttribute("aria-current", "page");
      document.title = `${link?.textContent} · Forebay`;
    } else {
      link?.removeAttribute("aria-current");
    }
  }
  pipeline.visible = wanted === "pipeline";
  if (focus) {
    required("main", HTMLElement).focus({ preventScroll: true });
  }
}

addEventListener("hashchange", () => show(true));
show(false);
