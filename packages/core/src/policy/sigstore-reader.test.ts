import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { SigstoreSignedRequirement } from "./policy.ts";
import { parsePolicy } from "./policy-document.ts";

type Fields = Readonly<Record<string, unknown>>;

function readText(text: string): SigstoreSignedRequirement {
  const [requirement] = parsePolicy(new TextEncoder().encode(`{"default":[${text}]}`)).default;
  assert.ok(requirement?.type === "sigstoreSigned");
  return requirement;
}

const read = (fields: Fields): SigstoreSignedRequirement =>
  readText(JSON.stringify({ type: "sigstoreSigned", ...fields }));

function refuses(fields: Fields, message?: RegExp): void {
  assert.throws(() => read(fields), { code: "policy-malformed", ...(message === undefined ? {} : { message }) });
}

const data = "bm9uc2Vuc2U=";
const fulcio = { caPath: "/ca", oidcIssuer: "https://issuer.example", subjectEmail: "a@example.com" };
const pki = { caRootsPath: "/roots", subjectEmail: "a@example.com" };
const sources: Fields = { keyPath: "/k", keyPaths: ["/k", "/l"], keyData: data, keyDatas: [data, data], fulcio, pki };
const rekors: Fields = {
  rekorPublicKeyPath: "/r",
  rekorPublicKeyPaths: ["/r", "/s"],
  rekorPublicKeyData: data,
  rekorPublicKeyDatas: [data],
};
const entries = (fields: Fields): readonly (readonly [string, unknown])[] => Object.entries(fields);

describe("one source of trust, with each way to name the log", () => {
  for (const [source, value] of entries(sources)) {
    test(`${source} alone`, () => {
      if (source === "fulcio") refuses({ [source]: value }, /must be specified if fulcio is used/);
      else assert.equal(read({ [source]: value }).rekor, undefined);
    });
    for (const [rekor, log] of entries(rekors)) {
      test(`${source} with ${rekor}`, () => {
        const fields = { [source]: value, [rekor]: log };
        if (source === "pki") refuses(fields, /are not supported for pki/);
        else assert.notEqual(read(fields).rekor, undefined);
      });
    }
    for (const [first] of entries(rekors)) {
      for (const [second] of entries(rekors)) {
        if (first >= second) continue;
        test(`${source} with ${first} and ${second} is refused`, () => {
          const fields = { [source]: value, [first]: rekors[first], [second]: rekors[second] };
          refuses(fields, /at most one of rekorPublicKeyPath/);
        });
      }
    }
  }
});

describe("exactly one source of trust", () => {
  const message = /exactly one of keyPath, keyPaths, keyData, keyDatas, fulcio, and pki must be specified/;
  test("none is refused", () => refuses({}, message));
  test("none but a log is refused", () => refuses({ rekorPublicKeyPath: "/r" }, message));
  for (const [first, value] of entries(sources)) {
    for (const [second, other] of entries(sources)) {
      if (first >= second) continue;
      test(`${first} and ${second} are refused`, () => {
        refuses({ [first]: value, [second]: other }, message);
        refuses({ [first]: value, [second]: other, rekorPublicKeyPath: "/r" }, message);
      });
    }
  }
});

describe("values count, not presence", () => {
  test("an empty path and null are as good as absent", () => {
    assert.deepEqual(read({ keyPath: "", keyData: data }).trust, read({ keyData: data }).trust);
    assert.deepEqual(read({ keyPath: null, keyData: null, keyPaths: ["/k"] }).trust, read({ keyPaths: ["/k"] }).trust);
    assert.equal(read({ keyPath: "/k", rekorPublicKeyPath: "", rekorPublicKeyData: null }).rekor, undefined);
    refuses({ keyPath: "" });
    refuses({ keyPath: null });
    refuses({ fulcio, rekorPublicKeyPath: "" });
  });
  test("empty data is present", () => {
    assert.deepEqual(read({ keyData: "" }).trust, { kind: "keys", keys: { kind: "data", blobs: [new Uint8Array()] } });
    refuses({ keyData: "", keyPath: "/k" });
    refuses({ pki, rekorPublicKeyData: "" });
  });
  for (const field of ["keyPaths", "keyDatas", "rekorPublicKeyPaths", "rekorPublicKeyDatas"]) {
    test(`${field} must hold something when it is there`, () => {
      const others = field.startsWith("rekor") ? { keyPath: "/k" } : {};
      refuses({ ...others, [field]: [] }, /contains no entries/);
      refuses({ ...others, [field]: null }, /contains no entries/);
    });
  }
});

describe("wrong kinds of values", () => {
  for (const [field, value] of [...entries(sources), ...entries(rekors)]) {
    const isList = field.endsWith("s");
    for (const wrong of [1, true, {}, ...(isList ? ["/k", [1], [{}]] : [["x"], { x: 1 }])]) {
      test(`${field} = ${JSON.stringify(wrong)} is refused`, () => {
        const others = field.startsWith("rekor")
          ? { keyPath: "/k" }
          : field === "fulcio"
            ? rekors["rekorPublicKeyPath"]
            : {};
        refuses({ ...(others as Fields), [field]: wrong });
      });
    }
    test(`${field} twice is refused`, () => {
      const member = `"${field}":${JSON.stringify(value)}`;
      assert.throws(() => readText(`{"type":"sigstoreSigned",${member},${member}}`), { message: /Duplicate key/ });
    });
  }
  for (const field of ["keyData", "rekorPublicKeyData"]) {
    test(`${field} must be base64`, () =>
      refuses({ keyPath: field === "keyData" ? "" : "/k", [field]: "&" }, /base64/));
  }
  test("keyDatas must all be base64", () => refuses({ keyDatas: [data, "&"] }, /keyDatas\[1\]: .*base64/));
  test("fulcio and pki must not be null", () => {
    refuses({ keyPath: "/k", fulcio: null });
    refuses({ keyPath: "/k", pki: null });
  });
  test("unknown members and those of signedBy are refused", () => {
    refuses({ keyPath: "/k", keyType: "GPGKeys" }, /Unknown key "keyType"/);
    refuses({ keyPath: "/k", rekorPublickeyPath: "/r" }, /Unknown key "rekorPublickeyPath"/);
    refuses({ keyPath: "/k", type: "sigstoresigned" });
  });
});

describe("signedIdentity", () => {
  test("the default is matchRepoDigestOrExact", () => {
    assert.deepEqual(read({ keyPath: "/k" }).signedIdentity, { type: "matchRepoDigestOrExact" });
  });
  test("another type is taken", () => {
    const signedIdentity = { type: "matchRepository" };
    assert.deepEqual(read({ keyPath: "/k", signedIdentity }).signedIdentity, signedIdentity);
  });
  for (const wrong of [null, "matchExact", 1, [], { type: "x" }]) {
    test(`${JSON.stringify(wrong)} is refused`, () => refuses({ keyPath: "/k", signedIdentity: wrong }));
  }
});

describe("fulcio", () => {
  const readFulcio = (fields: Fields): SigstoreSignedRequirement => read({ fulcio: fields, rekorPublicKeyPath: "/r" });
  const refusesFulcio = (fields: Fields, message?: RegExp): void =>
    refuses({ fulcio: fields, rekorPublicKeyPath: "/r" }, message);
  test("a path or octets", () => {
    const { trust } = readFulcio(fulcio);
    assert.deepEqual(trust, {
      kind: "fulcio",
      authorities: { kind: "files", paths: ["/ca"] },
      oidcIssuer: fulcio.oidcIssuer,
      subjectEmail: fulcio.subjectEmail,
    });
    const { caPath: _, ...rest } = fulcio;
    assert.equal(readFulcio({ ...rest, caData: data }).trust.kind, "fulcio");
    assert.equal(readFulcio({ ...rest, caPath: "", caData: data }).trust.kind, "fulcio");
    refusesFulcio(rest, /At least one of caPath and caData must be specified/);
    refusesFulcio({ ...fulcio, caData: data }, /caPath and caData cannot be used simultaneously/);
    refusesFulcio({ ...fulcio, caData: "" }, /cannot be used simultaneously/);
  });
  test("issuer and e-mail are needed", () => {
    refusesFulcio({ ...fulcio, oidcIssuer: "" }, /oidcIssuer not specified/);
    refusesFulcio({ caPath: "/ca", subjectEmail: "a@b" }, /oidcIssuer not specified/);
    refusesFulcio({ ...fulcio, subjectEmail: null }, /subjectEmail not specified/);
    refusesFulcio({});
  });
  test("kinds, unknown members and repetitions", () => {
    for (const field of ["caPath", "caData", "oidcIssuer", "subjectEmail"]) refusesFulcio({ ...fulcio, [field]: 1 });
    refusesFulcio({ ...fulcio, subjectHostname: "h" }, /Unknown key "subjectHostname"/);
    refusesFulcio({ ...fulcio, subject: "uri" }, /Unknown key "subject"/);
    const twice = `{"caPath":"/a","caPath":"/a","oidcIssuer":"i","subjectEmail":"e"}`;
    assert.throws(
      () => readText(`{"type":"sigstoreSigned","fulcio":${twice},"rekorPublicKeyPath":"/r"}`),
      /Duplicate key/,
    );
  });
});

describe("pki", () => {
  const refusesPki = (fields: Fields, message?: RegExp): void => refuses({ pki: fields }, message);
  const accepted: readonly Fields[] = [
    pki,
    { caRootsData: data, subjectEmail: "a@b" },
    { caRootsPath: "/r", subjectHostname: "h.example" },
    { caRootsPath: "/r", subjectHostname: "h.example", subjectEmail: "a@b" },
    { ...pki, caIntermediatesPath: "/i" },
    { ...pki, caIntermediatesData: data },
    { caRootsData: data, caIntermediatesData: data, subjectHostname: "h" },
    { ...pki, caIntermediatesPath: "", caIntermediatesData: data },
    { ...pki, caIntermediatesPath: null, subjectHostname: "" },
  ];
  for (const fields of accepted) test(`accepted: ${JSON.stringify(fields)}`, () => void read({ pki: fields }));
  const refused: readonly (readonly [Fields, RegExp])[] = [
    [{}, /At least one of caRootsPath and caRootsData must be specified/],
    [{ subjectEmail: "a@b" }, /At least one of caRootsPath/],
    [{ ...pki, caRootsData: data }, /caRootsPath and caRootsData cannot be used simultaneously/],
    [
      { ...pki, caIntermediatesPath: "/i", caIntermediatesData: data },
      /caIntermediatesPath and caIntermediatesData cannot/,
    ],
    [{ caRootsPath: "/r" }, /At least one of subjectEmail, subjectHostname must be specified/],
    [{ caRootsPath: "/r", subjectEmail: "" }, /At least one of subjectEmail/],
    [{ ...pki, oidcIssuer: "i" }, /Unknown key "oidcIssuer"/],
    [{ ...pki, caRootsData: "&" }, /base64/],
    [{ ...pki, subjectHostname: 1 }, /string expected/],
    [{ ...pki, caRootsPath: {} }, /string expected/],
    [{ ...pki, caIntermediatesData: 1 }, /base64 text expected/],
  ];
  for (const [fields, message] of refused) {
    test(`refused: ${JSON.stringify(fields)}`, () => refusesPki(fields, message));
  }
});
