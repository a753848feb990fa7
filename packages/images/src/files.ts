/** Reading and writing files with bounds and without half-written results. A door of its own, so that a command that only needs files loads nothing else. */
export { readFileBounded, writeFileAtomic } from "./config/atomic-file.ts";
