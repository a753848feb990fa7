/** docs/registry-clients.md, cosign and notation: by `npm run conformance -- --clients`. */
import { test } from "node:test";
import { testPageOf } from "./registry-clients-page.testing.ts";

test("every line about cosign in docs/registry-clients.md does what the page says", (t) => testPageOf(t, "cosign"));

test("every line about notation in docs/registry-clients.md does what the page says", (t) => testPageOf(t, "notation"));
