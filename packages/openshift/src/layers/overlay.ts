/** What upper layers hide of lower ones (OCI image specification, layer.md, whiteouts). */
import { FormatError } from "@signet/core";
import type { TarEntry } from "@signet/images";

/** Characters of all names that are remembered of one image: a genuine catalog of some ten thousand files has a million. */
const MAX_NAME_CHARACTERS = 32 * 1024 * 1024;

const OPAQUE = ".wh..wh..opq";

/** The layers of an image as a container sees them, as far as one folder is concerned. They come from the top. */
export class Overlay {
  readonly #folder: string;
  /** Paths of upper layers, with all that is below them. */
  readonly #hidden = new Set<string>();
  /** Folders of which upper layers hide all that lower ones have. */
  readonly #opaque = new Set<string>();
  readonly #own = new Set<string>();
  readonly #ownWhiteouts = new Set<string>();
  readonly #ownOpaque = new Set<string>();
  #characters = 0;

  /** @param folder clean and relative, such as `configs` */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * True for an entry that a container sees, in the folder or above it; whiteouts are taken notice of.
   * @throws FormatError `image-malformed` for a name that climbs, or that stands twice in one layer; `input-too-large`
   */
  takes(entry: TarEntry, location: string): boolean {
    const { name, kind } = entry;
    // Runtimes clean such a name, and would put the file where nobody looks here.
    if (name.split("/").includes("..")) throw misleading(location, entry, "climbs");
    if (!isRelated(name, this.#folder)) return false;
    const slash = name.lastIndexOf("/") + 1;
    const base = name.slice(slash);
    if (base === OPAQUE) {
      this.#remember(this.#ownOpaque, name.slice(0, slash), location);
      return false;
    }
    if (base.startsWith(".wh.")) {
      this.#remember(this.#ownWhiteouts, `${name.slice(0, slash)}${base.slice(".wh.".length)}`, location);
      return false;
    }
    if (this.#isHidden(name)) return false;
    if (kind === "folder") return true;
    // Which of two counts would be known at the end only, when the first has been read.
    if (this.#own.has(name)) throw misleading(location, entry, "stands twice");
    this.#remember(this.#own, name, location);
    return true;
  }

  endLayer(): void {
    for (const name of [...this.#own, ...this.#ownWhiteouts]) this.#hidden.add(name);
    for (const folder of this.#ownOpaque) this.#opaque.add(folder);
    this.#own.clear();
    this.#ownWhiteouts.clear();
    this.#ownOpaque.clear();
  }

  #remember(names: Set<string>, name: string, location: string): void {
    this.#characters += name.length;
    if (this.#characters > MAX_NAME_CHARACTERS) {
      throw new FormatError(
        "input-too-large",
        `${location}: names of more than ${MAX_NAME_CHARACTERS} characters together`,
        { hint: "no genuine release or catalog has that many files" },
      );
    }
    names.add(name);
  }

  #isHidden(name: string): boolean {
    if (this.#hidden.has(name) || this.#opaque.has("")) return true;
    for (let slash = name.indexOf("/"); slash >= 0; slash = name.indexOf("/", slash + 1))
      if (this.#hidden.has(name.slice(0, slash)) || this.#opaque.has(name.slice(0, slash + 1))) return true;
    return false;
  }
}

/** An entry that a container would not see as it seems. */
export function misleading(location: string, { name }: TarEntry, problem: string): FormatError {
  return new FormatError("image-malformed", `${location}: ${JSON.stringify(name.slice(0, 300))} ${problem}`, {
    hint: "the layer was made to mislead, or by a tool that no runtime follows",
  });
}

/** True for what lies in the folder, is the folder, or is one of those above it, with whiteouts of all of them. */
function isRelated(name: string, folder: string): boolean {
  const subject = name.replace(/(^|\/)\.wh\.([^/]+)$/, "$1$2");
  return (
    subject === folder || subject.startsWith(`${folder}/`) || folder.startsWith(`${subject}/`) || isOpaque(name, folder)
  );
}

function isOpaque(name: string, folder: string): boolean {
  if (name !== OPAQUE && !name.endsWith(`/${OPAQUE}`)) return false;
  const parent = name.slice(0, -OPAQUE.length);
  return parent === "" || `${folder}/`.startsWith(parent) || parent.startsWith(`${folder}/`);
}
