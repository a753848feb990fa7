/** Two versions of a text as a unified diff, as `diff -u` and `git` print and `patch` reads it. */

/** Unchanged lines shown around a change. */
const CONTEXT_LINES = 3;

/** Edits searched for before the rest counts as exchanged whole: corrections are few, and the search takes the square of their number. */
const MAX_SEARCHED_EDITS = 2000;

interface Step {
  readonly kind: " " | "-" | "+";
  readonly text: string;
}

/** @returns lines without line ends; none when the texts are equal */
export function unifiedDiff(before: string, after: string, beforeName: string, afterName: string): readonly string[] {
  const steps = compareLines(splitLines(before), splitLines(after));
  if (steps.every(({ kind }) => kind === " ")) return [];
  const lines = [`--- ${beforeName}`, `+++ ${afterName}`];
  for (const { from, to } of hunksOf(steps)) {
    const passed = steps.slice(0, from);
    const shown = steps.slice(from, to);
    lines.push(`@@ -${range(passed, shown, "+")} +${range(passed, shown, "-")} @@`);
    for (const { kind, text } of shown) {
      lines.push(`${kind}${text.replace(/\n$/, "")}`);
      if (!text.endsWith("\n")) lines.push("\\ No newline at end of file");
    }
  }
  return lines;
}

/** Each with its line end. */
function splitLines(text: string): readonly string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

/** Parts of the steps with changes and their context, apart from each other. */
function hunksOf(steps: readonly Step[]): readonly { from: number; to: number }[] {
  const hunks: { from: number; to: number }[] = [];
  steps.forEach(({ kind }, index) => {
    if (kind === " ") return;
    const from = Math.max(0, index - CONTEXT_LINES);
    const to = Math.min(steps.length, index + CONTEXT_LINES + 1);
    const last = hunks.at(-1);
    if (last !== undefined && from <= last.to) last.to = to;
    else hunks.push({ from, to });
  });
  return hunks;
}

/** `first,count` of one side; of an empty side the line before. */
function range(passed: readonly Step[], shown: readonly Step[], otherSide: "+" | "-"): string {
  const isOwn = ({ kind }: Step): boolean => kind !== otherSide;
  const before = passed.filter(isOwn).length;
  const count = shown.filter(isOwn).length;
  return `${count === 0 ? before : before + 1},${count}`;
}

function compareLines(before: readonly string[], after: readonly string[]): readonly Step[] {
  let head = 0;
  while (head < before.length && head < after.length && before[head] === after[head]) head++;
  let tail = 0;
  const most = Math.min(before.length, after.length) - head;
  while (tail < most && before[before.length - 1 - tail] === after[after.length - 1 - tail]) tail++;
  const same = (lines: readonly string[]): readonly Step[] => lines.map((text) => ({ kind: " ", text }));
  return [
    ...same(before.slice(0, head)),
    ...shortestEdit(before.slice(head, before.length - tail), after.slice(head, after.length - tail)),
    ...same(before.slice(before.length - tail)),
  ];
}

/** E. Myers, "An O(ND) difference algorithm", 1986; every step of the search is kept to walk back. */
function shortestEdit(a: readonly string[], b: readonly string[]): readonly Step[] {
  const trace: Map<number, number>[] = [];
  let reach = new Map<number, number>([[1, 0]]);
  for (let edits = 0; edits <= Math.min(a.length + b.length, MAX_SEARCHED_EDITS); edits++) {
    trace.push(reach);
    const next = new Map(reach);
    for (let k = -edits; k <= edits; k += 2) {
      const isDown = k === -edits || (k !== edits && (reach.get(k - 1) ?? 0) < (reach.get(k + 1) ?? 0));
      let x = isDown ? (next.get(k + 1) ?? 0) : (next.get(k - 1) ?? 0) + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      next.set(k, x);
      if (x >= a.length && x - k >= b.length) return walkBack(a, b, trace);
    }
    reach = next;
  }
  return [...a.map((text): Step => ({ kind: "-", text })), ...b.map((text): Step => ({ kind: "+", text }))];
}

function walkBack(a: readonly string[], b: readonly string[], trace: readonly Map<number, number>[]): readonly Step[] {
  const steps: Step[] = [];
  let x = a.length;
  let y = b.length;
  for (let edits = trace.length - 1; edits >= 0; edits--) {
    const reach = trace[edits]!;
    const k = x - y;
    const isDown = k === -edits || (k !== edits && (reach.get(k - 1) ?? 0) < (reach.get(k + 1) ?? 0));
    const fromK = isDown ? k + 1 : k - 1;
    const fromX = edits === 0 ? 0 : (reach.get(fromK) ?? 0);
    const fromY = edits === 0 ? 0 : fromX - fromK;
    while (x > fromX && y > fromY) {
      steps.push({ kind: " ", text: a[x - 1]! });
      x--;
      y--;
    }
    if (edits === 0) break;
    if (isDown) steps.push({ kind: "+", text: b[--y]! });
    else steps.push({ kind: "-", text: a[--x]! });
  }
  return steps.toReversed();
}
