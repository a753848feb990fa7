/** Trees for people: branches drawn with lines, long texts wrapped under their own beginning. */
import type { Painted, Terminal } from "../terminal/terminal.ts";

export type Piece = string | Painted;

/** One line of a tree with what belongs to it. */
export interface TreeNode {
  readonly pieces: readonly Piece[];
  readonly children?: readonly TreeNode[];
  /** Columns by which further lines of a long text are indented. Default 0. */
  readonly hang?: number;
}

/** How a tree is drawn. */
export interface TreeStyle {
  /** Columns to fill at most; Infinity never wraps. */
  readonly width: number;
  readonly lines: TreeLines;
}

interface TreeLines {
  readonly branch: string;
  readonly last: string;
  readonly pass: string;
  readonly none: string;
}

const drawn: TreeLines = { branch: "├─ ", last: "└─ ", pass: "│  ", none: "   " };
const plain: TreeLines = { branch: "|- ", last: "`- ", pass: "|  ", none: "   " };

/** Columns below which wrapping would do more harm than good. */
const MIN_TEXT_WIDTH = 24;

/**
 * The style that fits standard output: as wide as the terminal, and without wrapping for files and pipes, where lines are searched.
 * @param env the locale says whether lines can be drawn
 */
export function treeStyleFor(
  isTerminal: boolean,
  columns: number | undefined,
  env: Readonly<Record<string, string | undefined>>,
): TreeStyle {
  const locale = env["LC_ALL"] || env["LC_CTYPE"] || env["LANG"] || "";
  const isUtf8 = /utf-?8/i.test(locale);
  return { width: isTerminal && columns ? columns : Infinity, lines: isUtf8 ? drawn : plain };
}

/** Prints nodes that stand below each other, each with its children. */
export function printTree(nodes: readonly TreeNode[], terminal: Terminal, style: TreeStyle, indent = ""): void {
  nodes.forEach((node, index) => {
    const isLast = index === nodes.length - 1;
    const { lines } = style;
    const children = node.children ?? [];
    const below = `${indent}${isLast ? lines.none : lines.pass}`;
    printNode(node, `${indent}${isLast ? lines.last : lines.branch}`, below, children.length > 0, terminal, style);
    printTree(children, terminal, style, below);
  });
}

function printNode(
  { pieces, hang = 0 }: TreeNode,
  first: string,
  below: string,
  hasChildren: boolean,
  terminal: Terminal,
  { width, lines }: TreeStyle,
): void {
  const rows = wrapPieces(pieces, Math.max(MIN_TEXT_WIDTH, width - first.length), hang);
  rows.forEach((row, index) => {
    const rest = `${below}${(hasChildren ? lines.pass : "").padEnd(hang)}`;
    terminal.line({ colour: "dim", text: index === 0 ? first : rest }, ...row);
  });
}

/** Breaks at blanks; a word that is longer than a line stays whole, so that digests and URLs can be copied. */
export function wrapPieces(pieces: readonly Piece[], width: number, hang: number): readonly (readonly Piece[])[] {
  const rows: Piece[][] = [[]];
  let used = 0;
  for (const piece of pieces) {
    const text = typeof piece === "string" ? piece : piece.text;
    for (const word of text.split(/(?<= )/)) {
      const length = word.trimEnd().length;
      if (used > 0 && length > 0 && used + length > width) {
        trimEnd(rows.at(-1)!);
        rows.push([]);
        used = hang;
      }
      rows.at(-1)!.push(typeof piece === "string" ? word : { ...piece, text: word });
      used += word.length;
    }
  }
  return rows;
}

/** A blank in the last column would make the terminal begin a line of its own. */
function trimEnd(row: Piece[]): void {
  const last = row.pop();
  if (last === undefined) return;
  row.push(typeof last === "string" ? last.trimEnd() : { ...last, text: last.text.trimEnd() });
}
