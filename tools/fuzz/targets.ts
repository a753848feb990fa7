import {
  computeManifestDigest,
  inspectSignedMessage,
  makeKeyring,
  parseCanonicalReference,
  formatReference,
  parseJson,
  parseKeyring,
  parseManifest,
  readWebSignatures,
  parsePolicy,
  parseReference,
  parseReferrers,
  parseSignatureBlob,
  parseSimpleSigningPayload,
  verifySignedMessage,
  writeReferrers,
} from "@signet/core";
import { nodeEngine } from "@signet/core/node-engine";
import { parseRegistriesDFile } from "../../packages/images/src/config/registries-d-file.ts";
import { parseChallenges } from "../../packages/images/src/registry/challenge.ts";
import type { FuzzTarget } from "./fuzzer.ts";
import { openShiftTargets } from "./openshift-targets.ts";
import { bytesOf, jsonWords, seedsFrom } from "./seeds.ts";

const makers: Readonly<Record<string, () => Omit<FuzzTarget, "name">>> = {
  json: () => ({
    seeds: [
      ...bytesOf('{"a":[1,-2.5e3,true,false,null,"\\u00e9\\n",{"b":{}}]}', " [ ] "),
      ...seedsFrom("policy/documents/*"),
    ],
    words: jsonWords,
    run: (bytes) => void parseJson(bytes, "fuzz"),
  }),
  payload: () => {
    const payload =
      '{"critical":{"identity":{"docker-reference":"a/b:1"},"image":{"docker-manifest-digest":"sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},"type":"atomic container signature"},"optional":{"creator":"x","timestamp":1}}';
    return {
      seeds: bytesOf(payload, payload.replace(/"optional".*$/, '"optional":{}}')),
      words: [...jsonWords, ...bytesOf('"critical"', '"optional"', '"timestamp":0.5', '"creator":null')],
      run: (bytes) => void parseSimpleSigningPayload(bytes),
    };
  },
  policy: () => ({
    seeds: seedsFrom("policy/documents/*"),
    words: [
      ...jsonWords,
      ...bytesOf(
        '"type":"signedBy"',
        '"keyPaths":[]',
        '"fulcio":{}',
        '"signedIdentity":{"type":"matchExact"}',
        '"*.example.com"',
      ),
    ],
    run: (bytes) => void parsePolicy(bytes, "fuzz"),
  }),
  reference: () => ({
    seeds: bytesOf(
      "busybox",
      "docker.io/library/busybox:latest",
      `example.com:5000/a/b-c_d.e:tag@sha256:${"0".repeat(64)}`,
      "localhost/x",
      "index.docker.io/a",
    ),
    words: bytesOf(":", "/", "@", ".", "_", "__", "-", "sha256:", "docker.io/", "A", "\0", "é"),
    run: (bytes) => {
      const reference = parseReference(Buffer.from(bytes).toString("utf8"));
      const text = formatReference(reference);
      if (formatReference(parseCanonicalReference(text)) !== text) throw new Error(`unstable normal form of ${text}`);
    },
  }),
  manifest: () => ({
    seeds: seedsFrom("manifest/**/*.json", "dir-images/*/manifest.json"),
    words: [
      ...jsonWords,
      ...bytesOf(
        '"layers":[]',
        '"manifests":[]',
        '"config":{}',
        '"MediaType":"x"',
        '"signatures":[]',
        '"schemaVersion":1',
      ),
    ],
    run: (bytes) => {
      computeManifestDigest(bytes, nodeEngine);
      const manifest = parseManifest(bytes);
      if (manifest.kind === "schema1") readWebSignatures(manifest);
    },
  }),
  referrers: () => ({
    seeds: bytesOf(
      `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:${"a".repeat(64)}","size":7,"artifactType":"a/b","annotations":{"k":"v"}}]}`,
    ),
    words: [...jsonWords, ...bytesOf('"artifactType":"x"', '"manifests":null', '"layers":[]', '"ArtifactType":""')],
    run: (bytes) => {
      const listed = parseReferrers(bytes, "list");
      // What was read can be written, and says the same then.
      const written = writeReferrers(undefined, { add: listed }, "list");
      const again = parseReferrers(written!, "list");
      if (new Set(listed.map(({ digest }) => digest)).size !== again.length) throw new Error("a referrer was lost");
    },
  }),
  "signature-blob": () => ({
    seeds: [
      ...seedsFrom("dir-images/*/signature-*"),
      ...bytesOf("\0simple-signing\nx", '\0sigstore-json\n{"mimeType":"a","payload":"AA==","annotations":{"k":"v"}}'),
    ],
    words: [...jsonWords, ...bytesOf("\0sigstore-json\n", "\0simple-signing\n")],
    run: (bytes) => void parseSignatureBlob(bytes),
  }),
  "openpgp-message": () => {
    const keyring = makeKeyring(
      seedsFrom("openpgp/*-keys/*", "redhat/keys/*").flatMap((bytes) => parseKeyring(bytes, nodeEngine).certificates),
    );
    const now = Date.UTC(2026, 0, 1);
    return {
      seeds: seedsFrom("openpgp/oracle/*.sig", "openpgp/containers-image/*", "redhat/signatures/**"),
      words: [
        Uint8Array.of(0xa3, 1),
        Uint8Array.of(0xc4, 13),
        Uint8Array.of(0xcb, 0xff),
        Uint8Array.of(0x90, 13),
        Uint8Array.of(0xca, 3, 0x50, 0x47, 0x50),
      ],
      run: (bytes) => {
        verifySignedMessage(bytes, keyring, { engine: nodeEngine, now });
        inspectSignedMessage(bytes, nodeEngine);
      },
    };
  },
  keyring: () => ({
    seeds: seedsFrom("openpgp/*-keys/*", "redhat/keys/*"),
    words: [
      ...bytesOf("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n", "-----END PGP PUBLIC KEY BLOCK-----\n", "=AAAA\n"),
      Uint8Array.of(0x99, 1, 13, 4),
      Uint8Array.of(0xc6, 10, 6),
    ],
    run: (bytes) => void makeKeyring(parseKeyring(bytes, nodeEngine).certificates),
  }),
  "registries-d": () => ({
    seeds: seedsFrom("registries-d/**/*.yaml"),
    words: bytesOf(
      "docker:\n",
      "default-docker:\n",
      "  lookaside: x\n",
      "&a ",
      "*a",
      "<<: *a\n",
      "? ",
      "- ",
      "!!binary ",
      "---\n",
      "\t",
      ": ",
    ),
    run: (bytes) => void parseRegistriesDFile(bytes, "fuzz.yaml"),
  }),
  challenge: () => ({
    seeds: bytesOf(
      'Bearer realm="https://auth.example.com/token",service="registry",scope="repository:a/b:pull,push"',
      'Basic realm="x", Bearer realm="y"',
      "Negotiate abc==",
    ),
    words: bytesOf('"', "\\", ",", "=", "realm=", "Bearer ", "Basic ", "\t", "\r\n"),
    run: (bytes) => void parseChallenges(Buffer.from(bytes).toString("latin1")),
  }),
  ...openShiftTargets,
};

/** Every parser that reads what somebody else wrote. */
export const targetNames: readonly string[] = Object.keys(makers);

/** @throws Error for a name that is no target */
export function findTarget(name: string): FuzzTarget {
  const make = Object.hasOwn(makers, name) ? makers[name] : undefined;
  if (make === undefined) throw new Error(`no target ${name}; the targets are ${targetNames.join(", ")}`);
  return { name, ...make() };
}
