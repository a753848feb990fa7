import assert from "node:assert/strict";
import { closeSync, mkdirSync, openSync, symlinkSync, writeFileSync, writeSync } from "node:fs";
import { after, describe, test } from "node:test";
import { SignetError } from "@signet/core";
import { makeTempDir } from "@signet/testkit";
import { type InventoryOptions, loadInventory } from "./load-inventory.ts";
import { splitJsonDocuments } from "./json-documents.ts";

const folder = makeTempDir();
after(() => folder.dispose());

let files = 0;

/** Writes a source and reads it. */
async function load(
  content: string | Uint8Array,
  options: InventoryOptions = {},
): Promise<Awaited<ReturnType<typeof loadInventory>>> {
  const path = folder.join(`source-${++files}`);
  writeFileSync(path, content);
  return await loadInventory([path], options);
}

async function namesOf(content: string | Uint8Array, options: InventoryOptions = {}): Promise<readonly string[]> {
  return (await load(content, options)).images.map(({ name }) => name);
}

function refuses(content: string | Uint8Array, code: string, options: InventoryOptions = {}): Promise<void> {
  return assert.rejects(load(content, options), (error) => error instanceof SignetError && error.code === code);
}

const digest = (digit: string): string => `sha256:${digit.repeat(64)}`;
const pod = (name: string, image: string, more: object = {}): object => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, namespace: "prod" },
  spec: { containers: [{ name: "main", image }] },
  ...more,
});

describe("plain lists", () => {
  test("names are read as kubelet reads them, and each image stands once", async () => {
    const list = [
      "# what runs",
      "nginx",
      "docker.io/library/nginx:latest\r",
      "",
      "docker://index.docker.io/nginx",
      `registry.example.com/team/app:1@${digest("a")}`,
      "dir:/var/images/x",
    ];
    assert.deepEqual(await namesOf(list.join("\n")), [
      "docker://docker.io/library/nginx:latest",
      `docker://registry.example.com/team/app@${digest("a")}`,
      "dir:/var/images/x",
    ]);
  });

  test("each image remembers its lines", async () => {
    const { images } = await load("nginx\nbusybox\nnginx:latest\n");
    assert.deepEqual(
      images[0]!.users.map((user) => user.replace(/^.*: /, "")),
      ["line 1", "line 3"],
    );
    assert.equal(images[0]!.occurrences, 2);
  });

  test("what is no image name is kept with its problem, since not judging it must be seen", async () => {
    const { images } = await load("UPPER/case\nnginx\nbad name\ntarball:/x\n");
    assert.deepEqual(
      images.map(({ name, problem }) => [name, problem?.code]),
      [
        ["UPPER/case", "reference-malformed"],
        ["docker://docker.io/library/nginx:latest", undefined],
        ["bad name", "reference-malformed"],
        ["tarball:/x", "transport-unsupported"],
      ],
    );
  });
});

describe("Kubernetes objects", () => {
  const list = {
    apiVersion: "v1",
    items: [
      pod("one", "nginx", {
        spec: {
          initContainers: [{ name: "init", image: "busybox:1" }],
          containers: [{ name: "main", image: "nginx" }],
          ephemeralContainers: [{ name: "debug", image: "tools" }],
        },
        status: {
          containerStatuses: [{ name: "main", imageID: `docker.io/library/nginx@${digest("1")}` }],
          initContainerStatuses: [{ name: "init", imageID: `docker-pullable://busybox@${digest("2")}` }],
          ephemeralContainerStatuses: [{ name: "debug", imageID: digest("3") }],
        },
      }),
      pod("two-abc", "nginx:latest", {
        metadata: {
          name: "two-abc",
          namespace: "prod",
          ownerReferences: [{ kind: "ReplicaSet", name: "two", controller: true }],
        },
      }),
    ],
    kind: "List",
  };

  test("all containers of a pod are read, with the digests that run, and users are named by their controller", async () => {
    const { images } = await load(JSON.stringify(list, undefined, 4));
    assert.deepEqual(
      images.map(({ name, users, running }) => [name, users, running]),
      [
        ["docker://docker.io/library/busybox:1", ["prod/Pod/one"], [digest("2")]],
        ["docker://docker.io/library/nginx:latest", ["prod/Pod/one", "prod/ReplicaSet/two"], [digest("1")]],
        ["docker://docker.io/library/tools:latest", ["prod/Pod/one"], []],
      ],
    );
  });

  test("with running, the digest that runs stands in place of the tag where it is known", async () => {
    const { images, warnings } = await load(JSON.stringify(list), { running: true });
    assert.deepEqual(
      images.map(({ name }) => name),
      [
        `docker://docker.io/library/busybox@${digest("2")}`,
        `docker://docker.io/library/nginx@${digest("1")}`,
        "docker://docker.io/library/tools:latest",
        "docker://docker.io/library/nginx:latest",
      ],
    );
    assert.deepEqual(warnings, ["container without a known digest, judged by its tag (2 times)"]);
  });

  const template = { metadata: {}, spec: { containers: [{ name: "c", image: "app:1" }] } };
  const kinds: readonly (readonly [string, object])[] = [
    ...["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "ReplicationController", "DeploymentConfig"].map(
      (kind) => [kind, { spec: { template } }] as const,
    ),
    ["CronJob", { spec: { jobTemplate: { spec: { template } } } }],
    ["PodTemplate", { template }],
    ["Rollout", { spec: { template } }],
  ];
  for (const [kind, body] of kinds) {
    test(`${kind} names the images of its pod template`, async () => {
      const { images } = await load(JSON.stringify({ kind, metadata: { name: "x" }, ...body }));
      assert.deepEqual(
        images.map(({ name, users }) => [name, users]),
        [["docker://docker.io/library/app:1", [`${kind}/x`]]],
      );
    });
  }

  test("a list from the API, whose items do not say what they are, is read as well", async () => {
    const items = [{ metadata: { name: "one" }, spec: { containers: [{ name: "c", image: "app:1" }] } }];
    const { images } = await load(JSON.stringify({ kind: "PodList", apiVersion: "v1", items }));
    assert.deepEqual(images[0]?.users, ["Pod/one"]);
  });

  test("several objects one after the other are read, as JSON and as YAML", async () => {
    const objects = [pod("one", "a:1"), { kind: "Service", metadata: { name: "s" } }, pod("two", "b:1")];
    const expected = ["docker://docker.io/library/a:1", "docker://docker.io/library/b:1"];
    assert.deepEqual(await namesOf(objects.map((one) => JSON.stringify(one)).join("\n")), expected);
    const yaml = [
      "# two pods",
      "apiVersion: v1",
      "kind: Pod",
      "metadata: {name: one}",
      "spec:",
      "  containers:",
      "  - name: c",
      "    image: a:1",
      "--- # the next",
      "---",
      "kind: List",
      "items:",
      "- kind: Pod",
      "  metadata: {name: two}",
      "  spec: {containers: [{name: c, image: 'b:1'}]}",
      "...",
    ];
    assert.deepEqual(await namesOf(yaml.join("\n")), expected);
  });

  test("a list is the same however its octets are cut into pieces", async () => {
    const bytes = new TextEncoder().encode(
      `${JSON.stringify(list, undefined, 1)} {"kind":"Pod","items":null,"a\\"":[1]}`,
    );
    const partsOf = async (size: number): Promise<readonly string[]> => {
      const chunks = async function* (): AsyncGenerator<Uint8Array> {
        // One buffer for all pieces, as the reader has it.
        const buffer = new Uint8Array(size);
        for (let at = 0; at < bytes.length; at += size) {
          const piece = bytes.subarray(at, at + size);
          buffer.set(piece);
          yield buffer.subarray(0, piece.length);
        }
      };
      const parts: string[] = [];
      for await (const { kind, bytes: part } of splitJsonDocuments(chunks(), "test"))
        parts.push(`${kind} ${new TextDecoder().decode(part)}`);
      return parts;
    };
    const whole = await partsOf(bytes.length);
    assert.deepEqual(
      whole.map((part) => part.split(" ")[0]),
      ["item", "item", "document", "document"],
    );
    for (const size of [1, 2, 3, 7, 64]) assert.deepEqual(await partsOf(size), whole);
  });

  test("containers that are no such are an error, those that get their image later a warning", async () => {
    await refuses(JSON.stringify(pod("x", "y", { spec: { containers: {} } })), "image-list-malformed");
    await refuses(JSON.stringify(pod("x", "y", { spec: { containers: [{ image: 1 }] } })), "image-list-malformed");
    await refuses(JSON.stringify(pod("x", "y", { spec: {} })), "image-list-malformed");
    const { warnings } = await load(
      JSON.stringify(pod("x", "y", { spec: { containers: [{ image: " " }, { image: "a" }] } })),
    );
    assert.deepEqual(warnings, ["container without an image, passed over"]);
  });

  test("an image used everywhere names twenty users and says that there are more", async () => {
    const items = Array.from({ length: 30 }, (_, index) => pod(`p${index}`, "nginx"));
    const { images } = await load(JSON.stringify({ kind: "List", items }));
    assert.deepEqual([images[0]!.users.length, images[0]!.hasMoreUsers, images[0]!.occurrences], [20, true, 30]);
  });
});

describe("compose files", () => {
  const compose = [
    "x-common: &common",
    "  restart: always",
    "services:",
    "  web:",
    "    <<: *common",
    "    image: nginx",
    "  built:",
    "    build: .",
    "  variable:",
    "    image: app:${TAG}",
  ].join("\n");

  test("the images of all services are read; what is built is passed over; variables are not guessed", async () => {
    const { images, warnings } = await load(compose);
    assert.deepEqual(
      images.map(({ name, problem }) => [name, problem?.hint?.slice(0, 9)]),
      [
        ["docker://docker.io/library/nginx:latest", undefined],
        ["app:${TAG}", "variables"],
      ],
    );
    assert.match(images[0]!.users[0]!, /: service web$/);
    assert.equal(warnings.length, 1);
  });

  test("what a source is can be said, and must then be so", async () => {
    await refuses(compose, "image-list-malformed", { format: "kubernetes" });
    await refuses(JSON.stringify(pod("x", "y")), "image-list-malformed", { format: "compose" });
    await refuses("nginx", "image-list-malformed", { format: "kubernetes" });
    assert.deepEqual(await namesOf("services:", { format: "list" }), ["services:"]);
  });
});

describe("folders", () => {
  const root = folder.join("manifests");
  mkdirSync(`${root}/deep/.git`, { recursive: true });
  writeFileSync(`${root}/a.yaml`, "kind: Pod\nmetadata: {name: p}\nspec: {containers: [{image: a}]}\n");
  writeFileSync(`${root}/deep/b.json`, JSON.stringify(pod("q", "b")));
  writeFileSync(`${root}/deep/compose.yml`, "services: {s: {image: c}}\n");
  writeFileSync(`${root}/deep/values.yaml`, "image: not-looked-at\n");
  writeFileSync(`${root}/deep/.git/x.yaml`, "kind: Pod\nspec: {containers: [{image: hidden}]}\n");
  writeFileSync(`${root}/notes.txt`, "nginx\n");
  symlinkSync(root, `${root}/deep/loop`);

  test("manifests are read below a folder, hidden folders and links to folders are not entered", async () => {
    const { images, warnings } = await loadInventory([root]);
    assert.deepEqual(
      images.map(({ name }) => name.replace(/^.*library\//, "")),
      ["a:latest", "b:latest", "c:latest"],
    );
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]!, /values\.yaml: neither/);
  });

  test("a manifest that cannot be read is an error, not passed over", async () => {
    const broken = folder.join("broken");
    mkdirSync(broken);
    writeFileSync(`${broken}/x.yaml`, "kind: {{ .Values.kind }}\n  a: [\n");
    await assert.rejects(loadInventory([broken]), { code: "image-list-malformed" });
  });
});

describe("nonsense", () => {
  test("what names no image is an error, not success", async () => {
    for (const empty of [
      "",
      "\n\n# nothing\n",
      '{"kind":"PodList","items":[]}',
      '{"kind":"Service"}',
      "services: {}\n",
    ])
      await refuses(empty, "image-missing");
    await assert.rejects(loadInventory([folder.join("absent")]), { code: "file-missing" });
    mkdirSync(folder.join("empty"));
    await assert.rejects(loadInventory([folder.join("empty")]), { code: "image-missing" });
  });

  test("JSON that is cut off, doubled or of another form is refused", async () => {
    const text = JSON.stringify({ kind: "List", items: [pod("x", "nginx"), pod("y", "busybox")] });
    for (let length = 1; length < text.length; length += 7) await refuses(text.slice(0, length), "json-malformed");
    const start = text.slice(0, text.indexOf("[") + 1);
    for (const rest of ["1]}", ",{}]}", "{},]}", "{} {}]}", '"x"]}', "{}]} x", "{}]}]"])
      await refuses(start + rest, "json-malformed");
    await refuses('{"kind":"Pod","kind":"Pod","spec":{"containers":[{"image":"a"}]}}', "json-malformed");
    await refuses('{"kind":"List","items":[],"items":[]}', "json-malformed");
    await refuses('{"kind":"Pod","items":[{"spec":{"containers":[{"image":"a"}]}}]}', "image-list-malformed");
    await refuses('{"foo":1}', "image-list-malformed");
  });

  test("octets that are no text are refused", async () => {
    await refuses(Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 0, 1, 2), "image-list-malformed");
    await refuses(Uint8Array.of(0x6e, 0xff, 0xfe, 0x0a), "image-list-malformed");
    await refuses("nginx\u001b[31m\n", "image-list-malformed");
  });

  test("aliases that unfold without end, deep nesting and huge documents are refused soon", async () => {
    let bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (let level = 1; level < 12; level++)
      bomb += `a${level}: &a${level} [${Array.from({ length: 10 }, () => `*a${level - 1}`).join(", ")}]\n`;
    await refuses(`kind: Pod\n${bomb}`, "image-list-malformed");
    await refuses("kind: Pod\nself: &self [*self]\n", "image-list-malformed");
    await refuses(`kind: Pod\nx: ${"[".repeat(20_000)}`, "image-list-malformed");
    await refuses(`{"kind":"Pod","x":${"[".repeat(100_000)}${"]".repeat(100_000)}}`, "json-malformed");
    await refuses(`kind: Pod\n${"x: 1\n".repeat(500_000)}`, "input-too-large");
  });

  test("a line of 200 MB is refused with little of it in memory", async () => {
    const path = folder.join("long");
    const file = openSync(path, "w");
    const piece = Buffer.alloc(1024 * 1024, "a");
    for (let count = 0; count < 200; count++) writeSync(file, piece);
    closeSync(file);
    await assert.rejects(loadInventory([path]), { code: "input-too-large" });
    await assert.rejects(loadInventory([path], { format: "list" }), { code: "input-too-large" });
    const json = folder.join("long.json");
    const jsonFile = openSync(json, "w");
    writeSync(jsonFile, '{"kind":"Pod","x":"');
    for (let count = 0; count < 200; count++) writeSync(jsonFile, piece);
    closeSync(jsonFile);
    const before = process.memoryUsage().rss;
    await assert.rejects(loadInventory([json]), { code: "input-too-large" });
    assert.ok(process.memoryUsage().rss - before < 150 * 1024 * 1024);
  });
});
