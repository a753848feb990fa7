/** Tools without a Debian package: from which Go modules they are built, and where they are kept. See docs/decisions/0011-real-storage-in-tests.md. */
import { homedir } from "node:os";
import { join } from "node:path";

/** A program of a Go module, in one of the module's versions; its own go.sum pins all that it is built from. */
export interface BuiltTool {
  readonly path: string;
  readonly version: string;
  /** What go.sum would say of the module. */
  readonly sum: string;
  /** The oldest Go that builds it. */
  readonly go: string;
  /** Where in the module the program is. */
  readonly command: string;
  /** What builds it and runs the tests that need it: `npm test`; or, in files `*.conformance.test.ts`, a run of its own, for what takes long. */
  readonly builtBy: "npm run conformance -- --clients" | "npm test";
}

export type BuiltToolName = "cosign" | "notation" | "oras" | "regctl" | "versitygw";

/** What is built, by the program's name. */
export const builtTools: Readonly<Record<BuiltToolName, BuiltTool>> = {
  versitygw: {
    path: "github.com/versity/versitygw",
    version: "v1.8.0",
    sum: "h1:au+wI+aybno/STsQiSm35Uu6Q6iK5MWReQxgO6SEMFc=",
    go: "1.25",
    command: "/cmd/versitygw",
    builtBy: "npm test",
  },
  /** The newest that the Go of the wheel builds; see tools/go-program.ts. */
  oras: {
    path: "oras.land/oras",
    version: "v1.3.4",
    sum: "h1:ny44PJSsrLalEmyntFRi3Tmy3b1PTUZ3S4FeIRdVcU4=",
    go: "1.25.7",
    command: "/cmd/oras",
    builtBy: "npm test",
  },
  regctl: {
    path: "github.com/regclient/regclient",
    version: "v0.11.7",
    sum: "h1:Jsjlnd0ZQ2Blh0vaJtxJ0pU549VajvZ6BTL/4R7noMo=",
    go: "1.26",
    command: "/cmd/regctl",
    builtBy: "npm test",
  },
  cosign: {
    path: "github.com/sigstore/cosign/v3",
    version: "v3.1.3",
    sum: "h1:001JQRI/PJ/5T+g/kJ1KTvKFbb322+fomc+pHDZ/6sg=",
    go: "1.26",
    command: "/cmd/cosign",
    builtBy: "npm run conformance -- --clients",
  },
  notation: {
    path: "github.com/notaryproject/notation",
    version: "v1.3.2",
    sum: "h1:roSxDRZ+w8kIgxoxruhHpSVtVFwpfq2piuaMvOrPaco=",
    go: "1.23",
    command: "/cmd/notation",
    builtBy: "npm run conformance -- --clients",
  },
};

/** True for a tool that is built here. */
export function isBuiltTool(name: string): name is BuiltToolName {
  return Object.hasOwn(builtTools, name);
}

/** The folder where tools that were built are kept, of this user and outside of the repository, so that a new clone need not build again. */
export function builtToolsFolder(): string {
  const cache = process.env["XDG_CACHE_HOME"];
  return join(cache === undefined || cache === "" ? join(homedir(), ".cache") : cache, "signet-test-tools");
}

/** The folder with the program of the pinned version. */
export function builtToolFolder(name: BuiltToolName): string {
  return join(builtToolsFolder(), `${name}-${builtTools[name].version}`);
}
