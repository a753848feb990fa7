import assert from "node:assert/strict";
import { test } from "node:test";
import { UsageError } from "@signet/core";
import type { Command, FlagOption, Invocation, ListOption, NumberOption, SwitchOption, TextOption } from "./command.ts";
import { parseInvocation, splitLeadingOptions } from "./parse.ts";

const all: FlagOption = { kind: "flag", name: "all", short: "a", summary: "" };
const verbose: FlagOption = { kind: "flag", name: "verbose", short: "v", summary: "" };
const policy: TextOption = { kind: "text", name: "policy", short: "p", value: "FILE", summary: "" };
const format: TextOption = {
  kind: "text",
  name: "output",
  short: "o",
  value: "F",
  choices: ["text", "json"],
  summary: "",
};
const key: ListOption = { kind: "list", name: "key", value: "FILE", summary: "" };
const jobs: NumberOption = { kind: "number", name: "jobs", value: "N", minimum: 1, maximum: 8, summary: "" };
const tls: SwitchOption = { kind: "switch", name: "tls-verify", summary: "" };
const options = [all, verbose, policy, format, key, jobs, tls];

const command: Command = {
  name: "test",
  summary: "",
  description: [],
  arguments: [
    { name: "FIRST", summary: "" },
    { name: "MORE", summary: "", optional: true, repeats: true },
  ],
  options,
  examples: [],
  run: async () => 0,
};

function parse(...tokens: readonly string[]): Invocation {
  return parseInvocation(command, options, tokens);
}

test("options take their values in every form that GNU and Go tools know", () => {
  for (const tokens of [["--policy", "f"], ["--policy=f"], ["-p", "f"], ["-pf"], ["-p=f"], ["-avpf"]]) {
    assert.equal(parse("x", ...tokens).get(policy), "f", tokens.join(" "));
  }
  const together = parse("-av", "x");
  assert.deepEqual([together.get(all), together.get(verbose)], [true, true]);
  assert.deepEqual(parse("--key", "a", "x", "--key=b", "--key", "--all").get(key), ["a", "b", "--all"]);
  assert.equal(parse("--policy=a=b", "x").get(policy), "a=b");
});

test("what was not given is false, empty or undefined", () => {
  const call = parse("x");
  assert.deepEqual(
    [call.get(all), call.get(key), call.get(policy), call.get(jobs), call.get(tls)],
    [false, [], undefined, undefined, undefined],
  );
});

test("a switch takes a value only when it is attached", () => {
  assert.equal(parse("--tls-verify=false", "x").get(tls), false);
  const call = parse("--tls-verify", "false");
  assert.deepEqual([call.get(tls), call.arguments], [true, ["false"]]);
});

test("options may stand between and after arguments, and -- ends them", () => {
  assert.deepEqual(parse("a", "--all", "b").arguments, ["a", "b"]);
  assert.deepEqual(parse("a", "--", "--all", "--", "-").arguments, ["a", "--all", "--", "-"]);
  assert.deepEqual(parse("-").arguments, ["-"]);
});

test("what does not fit is a usage error with a hint", () => {
  const cases: readonly [readonly string[], RegExp][] = [
    [[], /FIRST is missing/],
    [["x", "--polcy", "f"], /unknown option --polcy/],
    [["x", "-z"], /unknown option -z/],
    [["x", "--policy"], /--policy needs a value/],
    [["x", "--policy="], /--policy must not be empty/],
    [["x", "--policy", "a", "--policy", "b"], /--policy was given twice/],
    [["x", "--all=yes"], /--all takes no value/],
    [["x", "--output", "xml"], /--output is one of text, json/],
    [["x", "--jobs", "0"], /--jobs is a whole number from 1 to 8/],
    [["x", "--jobs", "1e1"], /--jobs is a whole number/],
    [["x", "--jobs", " 1"], /--jobs is a whole number/],
    [["x", "--tls-verify=no"], /--tls-verify is true or false/],
    [[""], /FIRST must not be empty/],
    [["x", "--__proto__", "1"], /unknown option --__proto__/],
  ];
  for (const [tokens, message] of cases) {
    assert.throws(
      () => parse(...tokens),
      (error) => error instanceof UsageError && message.test(error.message) && error.hint !== undefined,
      tokens.join(" "),
    );
  }
  assert.throws(() => parse("x", "--polcy", "f"), { hint: "did you mean --policy?" });
});

test("a command without a repeating argument refuses one too many", () => {
  const single: Command = { ...command, arguments: [{ name: "ONE", summary: "" }] };
  assert.throws(() => parseInvocation(single, options, ["a", "b"]), { message: 'one argument too many: "b"' });
});

test("options before the command's name are split off with their values", () => {
  assert.deepEqual(splitLeadingOptions(["--policy", "verify", "-a", "verify", "--all"], options), {
    leading: ["--policy", "verify", "-a"],
    rest: ["verify", "--all"],
  });
});

test("asking for an option that the command does not declare is a fault of the program", () => {
  assert.throws(() => parseInvocation(command, [policy], ["x"]).get(all), /does not declare --all/);
});
