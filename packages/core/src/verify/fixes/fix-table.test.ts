import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { describe, test } from "node:test";
import { errorTable } from "../../errors.ts";
import type { Digest } from "../../bytes/digest.ts";
import { parsePolicy } from "../../policy/policy-document.ts";
import type { Requirement } from "../../policy/policy.ts";
import { parseReference } from "../../reference/reference.ts";
import { checksWithFix, errorsWithFix, fixFor } from "./fix-table.ts";
import type { Fix, FixSituation } from "./fix.ts";

const source = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8");

/** The names that judging gives to checks and reasons, collected from the code that gives them. */
function namesInTheCode(): ReadonlySet<string> {
  const names = new Set<string>();
  const add = (text: string, pattern: RegExp): void => {
    for (const [, name] of text.matchAll(pattern)) names.add(name!);
  };
  const folder = new URL("../", import.meta.url);
  const files = readdirSync(folder).filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"));
  for (const file of files) {
    // What `standalone-verify` and signed documents alone can say never comes from judging an image.
    if (file === "standalone.ts" || file === "signed-document.ts") continue;
    const text = source(`../${file}`);
    add(text, /\.fail\(\s*"([a-z0-9-]+)"/g);
    add(text, /\.failUnless\([^"`]*?"([a-z0-9-]+)"/g);
    add(text, /\bcode: "([a-z0-9-]+)"/g);
    add(text, /\? "([a-z0-9-]+)" : "[a-z0-9-]+";/g);
    add(text, /\? "[a-z0-9-]+" : "([a-z0-9-]+)";/g);
    for (const [, rest] of text.matchAll(/`\$\{which\}-([a-z-]+)`/g))
      for (const key of ["key", "subkey"]) names.add(`${key}-${rest}`);
  }
  const rules = /export type OpenPgpRule =([^;]+);/.exec(source("../../formats/openpgp/fault.ts"))![1]!;
  add(rules, /"([a-z-]+)"/g);
  // Rules about keys, which are read before any signature is judged, and about the forms that only documents have.
  for (const rule of ["key-malformed", "key-version", "key-algorithm", "armor-malformed", "cleartext-malformed"])
    names.delete(rule);
  return names;
}

const digest = `sha256:${"a".repeat(64)}` as Digest;
const other = `sha256:${"b".repeat(64)}` as Digest;

function requirementOf(document: object): Requirement {
  return parsePolicy(new TextEncoder().encode(JSON.stringify({ default: [document] }))).default[0]!;
}

const signedBy = requirementOf({ type: "signedBy", keyType: "GPGKeys", keyPath: "/etc/keys/release.gpg" });

const situation: FixSituation = {
  image: "docker://mirror.local/team/app:1",
  transport: "docker",
  reference: parseReference("mirror.local/team/app:1"),
  scope: { transport: "docker", scope: "mirror.local/team", label: "docker: mirror.local/team", tried: [] },
  requirements: [signedBy],
  requirement: signedBy,
  message: "it failed",
  digest,
  store: { kind: "lookaside", label: "https://sig.example.com/store", isConfigured: true, pages: 0 },
  signingKeys: ["08CD26E446E2E95249B7A405E932F44B23E8DD43"],
  policyOptions: ["--policy", "my policy.json"],
  storeOptions: ["--registries.d", "rd"],
  registryOptions: ["--tls-verify=false"],
};

const signatureFor = (claims: object): Pick<FixSituation, "signature"> => ({
  signature: {
    location: "signature-1",
    verdict: "rejected",
    claims: { format: "simple-signing", ...claims },
    checks: [],
    reasons: [],
  },
});

const wrongName = (dockerReference: string, signedIdentity?: object): Fix => {
  const requirement =
    signedIdentity === undefined
      ? signedBy
      : requirementOf({ type: "signedBy", keyType: "GPGKeys", keyPath: "/etc/keys/release.gpg", signedIdentity });
  return fixFor("identity", { ...situation, requirement, ...signatureFor({ dockerReference }) });
};

describe("the table of fixes", () => {
  test("has every check that judging can fail, by the names in the code, and no other", () => {
    const names = namesInTheCode();
    assert.ok(names.size > 40, `only ${names.size} names were found`);
    assert.deepEqual([...checksWithFix].toSorted(), [...names].toSorted());
  });

  test("names errors by codes that exist", () => {
    for (const code of errorsWithFix) assert.ok(code in errorTable, code);
  });

  for (const code of [...checksWithFix, ...errorsWithFix, "registry-unreachable"]) {
    test(`for ${code} says something in one line, and every placeholder of its command is named`, () => {
      for (const reference of [situation.reference, undefined]) {
        const transport = reference === undefined ? "dir" : "docker";
        const image = reference === undefined ? "dir:/srv/app" : situation.image;
        const fix = fixFor(code, { ...situation, reference, transport, image });
        assert.equal(fix.check, code);
        assert.match(fix.message, /^[^\n]{9,}$/);
        for (const placeholder of fix.placeholders) assert.match(fix.command ?? "", new RegExp(`\\b${placeholder}\\b`));
        if (fix.command === undefined) continue;
        assert.match(fix.command, /^signet (?:sign|trust set|login) /);
        for (const word of ["KEY", "KEYFILE", "COSIGN.pub"])
          assert.equal(new RegExp(` ${word}(?: |$)`).test(fix.command), fix.placeholders.includes(word), fix.command);
      }
    });
  }
});

describe("the fix for an image without a signature", () => {
  const fix = (more: Partial<FixSituation>): Fix => fixFor("no-signature", { ...situation, ...more });

  test("signs it with a key that is trusted, where signatures of the image belong", () => {
    assert.equal(
      fix({}).command,
      "signet sign --key 08CD26E446E2E95249B7A405E932F44B23E8DD43 docker://mirror.local/team/app:1 --registries.d rd --tls-verify=false",
    );
    const unknown = fix({ signingKeys: [] });
    assert.match(unknown.command!, /--key KEY /);
    assert.deepEqual(unknown.placeholders, ["KEY"]);
  });

  test("signs for the identity that the policy asks for", () => {
    const demand = (signedIdentity: object): FixSituation["requirement"] =>
      requirementOf({ type: "signedBy", keyType: "GPGKeys", keyPath: "k", signedIdentity });
    const remap = demand({ type: "remapIdentity", prefix: "mirror.local", signedPrefix: "registry.example.com" });
    assert.match(fix({ requirement: remap! }).command!, / --identity registry\.example\.com\/team\/app:1 /);
    const exact = demand({ type: "exactReference", dockerReference: "registry.example.com/x:2" });
    assert.match(fix({ requirement: exact! }).command!, / --identity registry\.example\.com\/x:2 /);
    const repository = demand({ type: "exactRepository", dockerRepository: "registry.example.com/x" });
    assert.match(fix({ requirement: repository! }).command!, / --identity registry\.example\.com\/x:1 /);
  });

  test("signs at the place that registries.conf led to, for the image's own name, and names no store of a mirror as a scope", () => {
    const place = parseReference("127.0.0.1:5000/proxy/app:1");
    const store = { ...situation.store!, isConfigured: false };
    const { command, message } = fix({ place, store });
    assert.match(command!, / --identity mirror\.local\/team\/app:1 docker:\/\/127\.0\.0\.1:5000\/proxy\/app:1 /);
    assert.doesNotMatch(message, /trust set/);
    assert.equal(fixFor("registry-forbidden", { ...situation, place }).command, "signet login 127.0.0.1:5000");
  });

  test("signs every instance of a list that is signed itself", () => {
    assert.match(fix({ list: { digest: other, signatures: 1 } }).command!, /^signet sign --all --key /);
    assert.doesNotMatch(fix({ list: { digest: other, signatures: 0 } }).command!, /--all/);
  });

  test("names the public store of a vendor whose section is missing, and the place to write any other", () => {
    const store = {
      kind: "lookaside",
      label: "file:///var/lib/containers/sigstore",
      isConfigured: false,
      pages: 0,
    } as const;
    const reference = parseReference("registry.redhat.io/ubi9/ubi:latest");
    assert.match(
      fix({ store, reference }).command!,
      /^signet trust set registry\.redhat\.io -f \/etc\/keys\/release\.gpg --lookaside https:\/\/registry\.redhat\.io\/containers\/sigstore /,
    );
    assert.match(fix({ store }).message, /signet trust set mirror\.local -f \/etc\/keys\/release\.gpg --lookaside URL/);
  });

  test("speaks of sigstore signatures and of web pages where those were found instead", () => {
    assert.match(
      fix({ attachments: 2 }).command!,
      /-t sigstoreSigned -f COSIGN\.pub --identity matchRepository --attachments/,
    );
    const pages = fix({ store: { ...situation.store!, pages: 3 } });
    assert.match(pages.message, /404/);
    assert.equal(pages.command, undefined);
  });

  test("that must be a sigstore one is not an OpenPGP signature", () => {
    const requirement = requirementOf({ type: "sigstoreSigned", keyPath: "cosign.pub" });
    assert.equal(fix({ requirement }).command, undefined);
    assert.match(fix({ requirement }).message, /use-sigstore-attachments/);
    assert.match(fix({ requirement, simpleSignatures: 2 }).command!, /-t signedBy -f KEYFILE/);
  });

  test("of an oci: image is no command: such images cannot keep signatures", () => {
    assert.equal(fix({ transport: "oci", reference: undefined, image: "oci:/srv/x" }).command, undefined);
  });
});

describe("the fix for the wrong name", () => {
  test("takes any tag of the repository, or a mirror's name for the original, with the exact values", () => {
    assert.match(
      wrongName("mirror.local/team/app:2").command!,
      / -f \/etc\/keys\/release\.gpg --identity matchRepository /,
    );
    const mirror = wrongName("registry.example.com/prod/team/app:1");
    assert.match(mirror.command!, / --identity remap=mirror\.local=registry\.example\.com\/prod /);
    assert.match(mirror.message, /prefix mirror\.local, signedPrefix registry\.example\.com\/prod/);
  });

  test("is a new signature where no rule could help", () => {
    assert.match(wrongName("registry.example.com/team/other:1").command!, /^signet sign /);
    assert.match(wrongName("NOT A REFERENCE").command!, /^signet sign /);
    const remapped = { type: "remapIdentity", prefix: "mirror.local", signedPrefix: "a.example.com" };
    assert.match(wrongName("b.example.com/team/app:1", remapped).command!, / --identity a\.example\.com\/team\/app:1 /);
  });

  test("of a folder says which image it is", () => {
    const fix = fixFor("identity", {
      ...situation,
      transport: "dir",
      image: "dir:/srv/app",
      scope: { label: "default", tried: [] },
      reference: undefined,
      ...signatureFor({ dockerReference: "registry.example.com/team/app:1" }),
    });
    assert.match(
      fix.command!,
      /^signet trust set \/srv\/app --transport dir .* --identity reference=registry\.example\.com\/team\/app:1 /,
    );
  });
});

describe("other fixes", () => {
  test("an unknown key is named, and trusted beside those that are trusted already", () => {
    const failed = { name: "signer-known", outcome: "failed", message: "", found: "0123456789ABCDEF" } as const;
    const fix = fixFor("signer-known", { ...situation, failed });
    assert.match(fix.message, /0123456789ABCDEF/);
    assert.equal(
      fix.command,
      "signet trust set mirror.local/team -f /etc/keys/release.gpg -f KEYFILE --policy 'my policy.json'",
    );
    const inside = requirementOf({ type: "signedBy", keyType: "GPGKeys", keyData: "AAAA" });
    assert.match(fixFor("signer-known", { ...situation, requirement: inside, failed }).message, /inside the policy/);
  });

  test("the rule for identities stays as it was when keys are changed", () => {
    const remap = requirementOf({
      type: "signedBy",
      keyType: "GPGKeys",
      keyPath: "k",
      signedIdentity: { type: "remapIdentity", prefix: "a.b", signedPrefix: "c.d" },
    });
    assert.match(
      fixFor("key-expiry", { ...situation, requirement: remap }).command!,
      /-f KEYFILE --identity remap=a\.b=c\.d/,
    );
  });

  test("a changed image: sign it anew, or use what was signed; a signature of the list: sign the instances", () => {
    const changed = fixFor("manifest-digest", { ...situation, ...signatureFor({ manifestDigest: other }) });
    assert.match(changed.message, new RegExp(`mirror\\.local/team/app@${other}`));
    assert.match(changed.command!, /^signet sign --key/);
    const ofList = fixFor("manifest-digest", {
      ...situation,
      list: { digest: other, signatures: 1 },
      ...signatureFor({ manifestDigest: other }),
    });
    assert.match(ofList.command!, /^signet sign --all/);
  });

  test("a policy that rejects: say whose signature the repository needs, not the whole registry", () => {
    const noScope = fixFor("policy-reject", { ...situation, scope: { label: "default", tried: [] } });
    assert.match(noScope.message, /^No scope/);
    assert.match(noScope.command!, /^signet trust set mirror\.local\/team\/app -f KEYFILE/);
    const host = { transport: "docker", scope: "mirror.local", label: "docker: mirror.local", tried: [] };
    assert.match(fixFor("policy-reject", { ...situation, scope: host }).message, /Scope docker: mirror\.local/);
  });

  test("a store's status has its usual cause; a registry that wants credentials gets a login", () => {
    assert.match(fixFor("signature-store-error", { ...situation, status: 403 }).message, /s3:ListBucket/);
    assert.match(fixFor("signature-store-error", { ...situation, status: 401 }).message, /without credentials/);
    assert.equal(fixFor("registry-unauthorized", situation).command, "signet login mirror.local");
  });

  test("simple signatures where sigstore ones are demanded", () => {
    const requirement = requirementOf({ type: "sigstoreSigned", keyPath: "cosign.pub" });
    const fix = fixFor("requirement-undetermined", { ...situation, requirement, simpleSignatures: 1 });
    assert.match(fix.command!, /-t signedBy -f KEYFILE/);
    assert.equal(fixFor("requirement-undetermined", { ...situation, requirement }).command, undefined);
  });

  test("what has no fix of its own repeats what the failure suggests", () => {
    const fix = fixFor("not-a-code", { ...situation, hint: "do this" });
    assert.deepEqual(fix, { check: "not-a-code", message: "it failed. Do this", placeholders: [] });
  });

  test("words from a policy cannot become more than one word, or anything else, in a shell", () => {
    const scope = { transport: "docker", scope: "a'; rm -rf $HOME #", label: "x", tried: [] };
    const { command } = fixFor("signer-known", { ...situation, scope });
    assert.ok(command!.startsWith("signet trust set 'a'\\''; rm -rf $HOME #' -f "), command);
  });
});
