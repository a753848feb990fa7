/**
 * `npm run build`: the dist/ of core, images and openshift by TypeScript, and the command line as one bundle with chunks that are loaded when a command needs
 * them. Nothing in daily work needs this: Node runs the sources.
 */

import { rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Plugin, build as bundle } from "rolldown";
import { runTool } from "./source-gates.ts";

/** Packages that are published as compiled modules, in the order of their imports. */
export const libraries: readonly string[] = ["core", "images", "openshift"];

/** A file that was written, and its size. */
export interface BuiltFile {
  readonly path: string;
  readonly bytes: number;
}

/** @throws Error with the compiler's output */
export async function buildLibraries(root: string): Promise<void> {
  for (const name of libraries) {
    const folder = join(root, "packages", name);
    rmSync(join(folder, "dist"), { recursive: true, force: true });
    const result = await runTool(root, "tsc", ["-p", join(folder, "tsconfig.build.json"), "--pretty", "false"]);
    if (result.status !== 0) throw new Error(`packages/${name} does not compile:\n${result.stdout}`);
  }
}

/**
 * Takes Node's own modules through `process.getBuiltinModule`. An `import` of one makes Node read every property that it exports, and so load what hides behind lazy ones:
 * streams and promises behind node:fs, Web Crypto behind node:crypto. That was a quarter of a cold start. (node:module has nothing lazy, and the bundle itself needs it first.)
 */
const lazyBuiltins: Plugin = {
  name: "lazy-builtins",
  resolveId: (specifier) =>
    specifier.startsWith("node:") && specifier !== "node:module" ? { id: `\0builtin:${specifier}` } : null,
  load(id) {
    if (!id.startsWith("\0builtin:")) return null;
    const specifier = JSON.stringify(id.slice("\0builtin:".length));
    return { code: `module.exports = process.getBuiltinModule(${specifier});`, moduleType: "js" };
  },
};

/** Bundles `packages/cli/src/main.ts`, with everything it imports, into `packages/cli/dist/signet.js` and its chunks. */
export async function bundleCommandLine(root: string): Promise<readonly BuiltFile[]> {
  const dir = join(root, "packages/cli/dist");
  rmSync(dir, { recursive: true, force: true });
  const result = await bundle({
    input: { signet: join(root, "packages/cli/src/main.ts") },
    platform: "node",
    plugins: [lazyBuiltins],
    resolve: { conditionNames: ["@signet/source", "node", "import"] },
    logLevel: "silent",
    output: {
      dir,
      format: "esm",
      chunkFileNames: "chunks/[name]-[hash].js",
      // What every command needs in few files: at a cold start each one more costs about as much as ten thousand octets of code.
      codeSplitting: {
        groups: [
          { name: "core", test: /packages\/core\/src\/(?!sign\/)/ },
          {
            name: "base",
            test: /packages\/cli\/src\/(command-line\/|terminal\/|program|command-index|interruption|runtime)|packages\/images\/src\/config\/(bounded-file|file-error)/,
          },
        ],
      },
      // Less to read at a cold start; names stay, so that a stack trace still says something.
      minify: { compress: true, mangle: false, codegen: { removeWhitespace: true } },
    },
  });
  return result.output.map(({ fileName }) => {
    const path = join(dir, fileName);
    return { path, bytes: statSync(path).size };
  });
}

if (import.meta.main) {
  const root = join(import.meta.dirname, "..");
  await buildLibraries(root);
  for (const name of libraries) console.log(`packages/${name}/dist`);
  const files = await bundleCommandLine(root);
  const total = files.reduce((sum, file) => sum + file.bytes, 0);
  const [entry] = files;
  console.log(`packages/cli/dist/signet.js: ${entry?.bytes} bytes, ${files.length} files with ${total} bytes in all`);
}
