/** Following the symbolic links of a path by hand, one part after the other: what `rooted-path.ts`, which reads at once, and `tree-path.ts`, which awaits, have in common. */
import { dirname, join, resolve } from "node:path";

/** Symbolic links followed in one path; what Linux allows. */
const MAX_LINKS = 40;

/**
 * A walk along a path of the system that lives below `root`. It looks at nothing itself: whoever walks looks at each place that {@link next} names, and says by {@link stay} or
 * {@link follow} what stood there. Links mean what they mean to that system: an absolute one starts at `root`, and no `..` leads out of it.
 */
export class LinkWalk {
  readonly #root: string;
  /** Parts still to do, the next one last. */
  readonly #ahead: string[];
  #reached = "/";
  #next = "/";
  #links = 0;
  /** How many parts are ahead when the outermost link on the way is behind us; what stands before that, a link led to. */
  #behindLink = Infinity;

  /**
   * @param root folder of the tree, absolute or not; `/` for this machine
   * @param path absolute, or relative to the tree's root. In it `..` is a matter of writing, as it is where paths are joined before they are opened
   */
  constructor(root: string, path: string) {
    this.#root = root;
    this.#ahead = partsOf(resolve("/", path)).toReversed();
  }

  /** The next place to look at, on this machine; undefined when the path has ended. */
  next(): string | undefined {
    for (let part = this.#ahead.pop(); part !== undefined; part = this.#ahead.pop()) {
      if (part !== "..") {
        this.#next = join(this.#reached, part);
        return join(this.#root, this.#next);
      }
      this.#reached = dirname(this.#reached);
    }
    return undefined;
  }

  /** What was looked at is no link, or not there. */
  stay(): void {
    this.#reached = this.#next;
  }

  /**
   * What was looked at is a link.
   * @returns false when there were too many of them: the walk must end
   */
  follow(target: string): boolean {
    this.#links += 1;
    this.#behindLink = Math.min(this.#behindLink, this.#ahead.length);
    if (target.startsWith("/")) this.#reached = "/";
    this.#ahead.push(...partsOf(target).toReversed());
    return this.#links <= MAX_LINKS;
  }

  /** Where the walk has come to, on this machine. */
  get place(): string {
    return this.#reached === "/" ? this.#root : join(this.#root, this.#reached);
  }

  /** The parts that were not walked. */
  get rest(): readonly string[] {
    return this.#ahead.toReversed();
  }

  /** True: a link was followed. */
  get hasFollowed(): boolean {
    return this.#links > 0;
  }

  /** True: what was looked at last is a part of what a link says, and not of the path itself. */
  get isInLink(): boolean {
    return this.#ahead.length >= this.#behindLink;
  }
}

function partsOf(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}
