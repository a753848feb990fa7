/** docs/registry-config.md, written from the table of keys: `node --conditions=@signet/source packages/server/src/config/config-page.ts`. A test compares. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type KeyRow, configKeys, environmentName } from "./config-keys.ts";

/** Relative to the repository. */
export const configPage = "docs/registry-config.md";

const kinds: Readonly<Record<KeyRow["kind"], string>> = {
  address: "`HOST:PORT`",
  boolean: "`true` or `false`",
  choice: "one of",
  count: "whole number",
  duration: "time: `500ms`, `30s`, `5m`, `1h`, `7d`",
  networks: "addresses and networks, divided by commas",
  origin: "URL without a path",
  path: "path",
  size: "size: bytes, or `16KiB`, `1MiB`",
  text: "text",
};

/** The whole page. */
export function writeConfigPage(): string {
  return [
    "# Configuration of the registry",
    "",
    "Written from the table in `packages/server/src/config/config-keys.ts`; a test compares.",
    "",
    "`signet serve` needs no configuration. What is to be different is said in a YAML file (`--config FILE`), in environment variables, or with the options `--data` and `--listen`. An",
    "option wins over the environment, the environment over the file. Unknown keys are refused; other variables that begin with `SIGNET_` are not looked at. Relative paths of the file",
    "are relative to its folder. `signet admin config check` says what holds and where it comes from, or what is wrong, in the files that it names too; secrets are never printed.",
    "",
    "```yaml",
    "listen: 0.0.0.0:5000",
    "publicUrl: https://registry.example.com",
    "tls:",
    "  cert: /etc/signet/tls.crt",
    "  key: /etc/signet/tls.key",
    "database:",
    "  urlFile: /etc/signet/database-url",
    "```",
    "",
    "`SIGNET_ADMIN_PASSWORD` is no key of the file: it is the password of the account `admin` that the first start makes, and is not looked at afterwards.",
    "",
    ...configKeys.flatMap((row) => [
      `## ${row.path}`,
      "",
      row.summary,
      "",
      `* Value: ${describeKind(row)}. Default: ${describeFallback(row)}.`,
      `* Environment: \`${environmentName(row.path)}\`${row.fromEnvironmentOnly === true ? ", and not in the file" : ""}.`,
      "",
    ]),
  ].join("\n");
}

function describeKind(row: KeyRow): string {
  if (row.kind === "choice") return `one of ${row.choices!.map((choice) => `\`${choice}\``).join(", ")}`;
  return kinds[row.kind];
}

function describeFallback(row: KeyRow): string {
  if (row.fallback !== undefined) return `\`${row.fallback}\``;
  return row.fallbackWords ?? "none";
}

if (import.meta.main) {
  writeFileSync(join(import.meta.dirname, "../../../..", configPage), writeConfigPage());
  process.stdout.write(`${configPage}: ${configKeys.length} keys\n`);
}
