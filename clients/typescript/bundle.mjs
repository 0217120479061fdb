/**
 * Builds the page's files: `npm run page [-- FOLDER]`, by default where the edge serves them from.
 *
 * Not minified, so that what is served can be read.
 */
import { copyFile, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { build } from "esbuild";

const NOTE = "Made of clients/typescript/page by `npm run page`; do not edit.";

const here = dirname(fileURLToPath(import.meta.url));
const served = join(here, "../../server/src/forebay_server/http/page");
const folder = process.argv[2] ?? served;

await mkdir(folder, { recursive: true });
await build({
  absWorkingDir: here,
  entryPoints: ["page/page.ts", "page/page.css"],
  outdir: folder,
  bundle: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  legalComments: "inline",
  banner: { js: `// ${NOTE}`, css: `/* ${NOTE} */` },
});
for (const name of ["index.html", "icon.svg"]) {
  await copyFile(join(here, "page", name), join(folder, name));
}
