/** What accounts, groups and access tokens may be called. */
import { UsageError } from "@signet/core";

/** Characters: Django's bound, which Pulp's users know. */
const MAX_NAME_LENGTH = 150;
const MAX_TOKEN_NAME_LENGTH = 100;

/**
 * Passes for a name of this kind. Users and groups: lower-case letters, digits and `. _ @ + -`, beginning with a letter or digit, so that Pulp's user names and
 * mail addresses work. Robots: `robot$` and such a name, as in Harbor; with a `+` in it (`robot$team+builder`) it reads like Harbor's and Quay's robots of a project.
 * No user can be called like a robot, no name holds the `:` that ends it in Basic, none needs quoting in logs.
 * @throws UsageError `access-name-malformed`
 */
export function checkAccountName(name: string, kind: "group" | "robot" | "user"): void {
  const bare = kind === "robot" ? name.replace(/^robot\$/, "") : name;
  const isRight =
    name.length <= MAX_NAME_LENGTH && (kind === "robot") === (bare !== name) && /^[a-z0-9][a-z0-9._@+-]*$/.test(bare);
  if (isRight) return;
  throw new UsageError(
    "access-name-malformed",
    `${JSON.stringify(name.slice(0, MAX_NAME_LENGTH))} cannot name a ${kind}`,
    {
      hint:
        kind === "robot"
          ? "name robots `robot$NAME`, NAME of lower-case letters, digits and . _ @ + -"
          : `use at most ${MAX_NAME_LENGTH} lower-case letters, digits and . _ @ + -, a letter or digit first`,
    },
  );
}

/**
 * Passes for what an access token may be called: a note for its owner.
 * @throws UsageError `access-name-malformed`
 */
export function checkTokenName(name: string): void {
  const isRight =
    name.trim() === name && name !== "" && name.length <= MAX_TOKEN_NAME_LENGTH && !/[\p{C}\p{Zl}\p{Zp}]/u.test(name);
  if (isRight) return;
  throw new UsageError("access-name-malformed", "this cannot name an access token", {
    hint: `use at most ${MAX_TOKEN_NAME_LENGTH} printable characters, with no space at either end`,
  });
}
