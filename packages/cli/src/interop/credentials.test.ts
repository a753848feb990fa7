/** One auth.json for all: what one tool's login writes, the others use, and what one takes away is gone for all. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  type ContainersHome,
  type DockerRegistry,
  buildTestImage,
  dockerRegistryAccount,
  findTool,
  httpPushTarget,
  makeContainersHome,
  pushTestImage,
  startDockerRegistry,
} from "@signet/testkit";
import { assertDone, hasTools, plainHttp, runSignet } from "./bench.test.ts";

const { user, password } = dockerRegistryAccount;
const toolNames = ["signet", "skopeo", "podman"] as const;
type ToolName = (typeof toolNames)[number];
type Access = "granted" | "denied";
type Account = { readonly user: string; readonly password: string };

void describe("credentials for docker-registry", { concurrency: false }, () => {
  let registry: DockerRegistry;

  before(async () => {
    if (findTool("docker-registry") === undefined) return;
    registry = await startDockerRegistry({ auth: true });
    await pushTestImage(httpPushTarget(registry.url, dockerRegistryAccount), "team/app:1", await buildTestImage());
  });
  after(async () => registry?.dispose());

  const start = (home: ContainersHome, tool: ToolName): ContainersHome["skopeo"] => {
    if (tool === "signet") return (args, options) => runSignet(args, { ...options, env: home.env });
    return tool === "skopeo" ? (...args) => home.skopeo(...args) : (...args) => home.podman(...args);
  };
  const logIn = async (
    home: ContainersHome,
    tool: ToolName,
    account: Account = { user, password },
  ): Promise<number> => {
    const args = ["login", registry.host, "--username", account.user, "--password-stdin", ...plainHttp];
    return (await start(home, tool)(args, { input: `${account.password}\n` })).status;
  };
  const logOut = async (home: ContainersHome, tool: ToolName): Promise<void> => {
    assertDone(await start(home, tool)(["logout", registry.host]));
  };

  /** Reads the image with each tool. */
  const tryAll = async (home: ContainersHome): Promise<Record<ToolName, Access>> => {
    const name = `docker://${registry.host}/team/app:1`;
    const [signet, skopeo, podman] = await Promise.all([
      start(home, "signet")(["inspect", ...plainHttp, name]),
      home.skopeo(["inspect", name]),
      home.podman(["pull", "--quiet", name]),
    ]);
    const results = { signet, skopeo, podman };
    for (const { status, stderr } of Object.values(results))
      if (status !== 0) assert.match(stderr, /authentication required|unauthorized|401|credentials/i);
    return Object.fromEntries(
      Object.entries(results).map(([tool, { status }]) => [tool, status === 0 ? "granted" : "denied"]),
    ) as Record<ToolName, Access>;
  };
  const granted = { signet: "granted", skopeo: "granted", podman: "granted" };
  const denied = { signet: "denied", skopeo: "denied", podman: "denied" };

  toolNames.forEach((tool, index) => {
    const leaver = toolNames[(index + 1) % toolNames.length]!;
    void it(`kept by ${tool} login are used by all three, until ${leaver} logout`, async (t) => {
      if (!hasTools(t)) return;
      using home = makeContainersHome();
      home.allowInsecure(registry.host);
      if (index === 0) assert.deepEqual(await tryAll(home), denied);
      assert.equal(await logIn(home, tool), 0);
      assert.deepEqual(await tryAll(home), granted);
      for (const other of toolNames)
        assert.equal(assertDone(await start(home, other)(["login", "--get-login", registry.host])).stdout, `${user}\n`);
      await logOut(home, leaver);
      assert.deepEqual(await tryAll(home), denied);
    });
  });

  void it("that are wrong are refused by every login, and none keeps them", async (t) => {
    if (!hasTools(t)) return;
    using home = makeContainersHome();
    home.allowInsecure(registry.host);
    for (const tool of toolNames) {
      assert.notEqual(await logIn(home, tool, { user, password: "wrong" }), 0, tool);
      const kept = await start(home, tool)(["login", "--get-login", registry.host]);
      assert.notEqual(kept.status, 0, `${tool}: ${kept.stdout}`);
    }
  });

  void it("kept by signet login for one path are used by podman and skopeo below that path alone", async (t) => {
    if (!hasTools(t)) return;
    using home = makeContainersHome();
    home.allowInsecure(registry.host);
    await pushTestImage(httpPushTarget(registry.url, dockerRegistryAccount), "other/app:1", await buildTestImage());
    const logInToPath = ["login", `${registry.host}/team`, "--username", user, "--password-stdin", ...plainHttp];
    assertDone(await start(home, "signet")(logInToPath, { input: `${password}\n` }));
    assert.deepEqual(await tryAll(home), granted);
    const other = `docker://${registry.host}/other/app:1`;
    const [signet, skopeo, podman] = await Promise.all([
      start(home, "signet")(["inspect", ...plainHttp, other]),
      home.skopeo(["inspect", other]),
      home.podman(["pull", "--quiet", other]),
    ]);
    assert.deepEqual([signet.status === 0, skopeo.status === 0, podman.status === 0], [false, false, false]);
  });
});
