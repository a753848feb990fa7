/** What Signet's tests share: real tools in isolated homes, a throw-away registry, test images, clocks and random numbers that repeat. Never published. */

// Tools and places
export { makeContainersHome } from "./containers-home.ts";
export type { ContainersHome } from "./containers-home.ts";
export { dockerRegistryAccount, startDockerRegistry } from "./docker-registry.ts";
export type { DockerRegistry, DockerRegistryOptions } from "./docker-registry.ts";
export {
  registryBlobFile,
  storeRegistryBlob,
  storeRegistryImage,
  storeRegistryManifest,
} from "./docker-registry-storage.ts";
export { makeFakeClock } from "./fake-clock.ts";
export type { FakeClock } from "./fake-clock.ts";
export { makeGpgHome } from "./gpg-home.ts";
export type { GpgAlgorithm, GpgHome, GpgKey, GpgKeyOptions } from "./gpg-home.ts";
export { makeSeededRandom } from "./seeded-random.ts";
export type { SeededRandom } from "./seeded-random.ts";
export { startPostgresql } from "./postgresql.ts";
export type { Postgresql } from "./postgresql.ts";
export { startS3Server } from "./s3-server.ts";
export type { S3Server } from "./s3-server.ts";
export { startServerProcess } from "./server-process.ts";
export type { ServerProcess, ServerProcessOptions } from "./server-process.ts";
export { startPodmanService } from "./podman-service.ts";
export type { PodmanService } from "./podman-service.ts";
export { startLoopbackServer } from "./loopback-server.ts";
export type { LoopbackServer } from "./loopback-server.ts";
export { makeTempDir } from "./temp-dir.ts";
export type { TempDir } from "./temp-dir.ts";
export { makeTlsCertificates } from "./tls-certificates.ts";
export type { TlsCertificates } from "./tls-certificates.ts";
export { builtToolFolder, builtTools, builtToolsFolder } from "./built-tools.ts";
export type { BuiltToolName } from "./built-tools.ts";
export { DEFAULT_TIMEOUT_MS, findTool, requireTool, run, runChecked, toolPackages } from "./tools.ts";
export type { RunOptions, RunResult, ToolName } from "./tools.ts";

// Registry and images
export type { Fault } from "./registry/faults.ts";
export { startTestRegistry, testRegistryAccount } from "./test-registry.ts";
export type { LoggedRequest, TestRegistry, TestRegistryOptions } from "./test-registry.ts";
export { buildTestImage, buildTestIndex, httpPushTarget, pushTestImage, writeDirImage } from "./test-image.ts";
export type { PushTarget, TestBlob, TestImage, TestImageFormat, TestImageOptions, TestIndex } from "./test-image.ts";
export {
  TEST_SCHEMA1_SIGNED_TYPE,
  TEST_SCHEMA1_TYPE,
  attachTestWebSignatures,
  buildTestSchema1,
  makeTestSchema1,
  makeTestWebSignature,
  pushTestSchema1,
} from "./test-schema1.ts";
export type { TestSchema1Image } from "./test-schema1.ts";
export { testTarFields, writeTestPaxHeader, writeTestTar, writeTestTarEntry } from "./tar-entries.ts";
export type { TestTarEntryOptions } from "./tar-entries.ts";
export { buildTestRelease } from "./test-release.ts";
export type { TestRelease, TestReleaseOptions } from "./test-release.ts";

export { pushTestAttachments, pushTestReferrer, pushTestReferrersTag } from "./test-companions.ts";
export type { TestAttachment, TestSubject } from "./test-companions.ts";

// OpenPGP packets
export { TEST_KEY_CREATED, makeTestKey, testHashes } from "./openpgp-keys.ts";
export type { TestHash, TestKeyAlgorithm, TestOpenPgpKey } from "./openpgp-keys.ts";
export {
  hashedTestUserId,
  writeTestCertificate,
  writeTestCompressed,
  writeTestLiteral,
  writeTestMessage,
  writeTestNotation,
  writeTestOnePass,
  writeTestPacket,
  writeTestSignature,
  writeTestSubpacket,
} from "./openpgp-packets.ts";
export type {
  PacketFraming,
  TestCertificateOptions,
  TestSignatureOptions,
  TestSubkey,
  TestUserId,
} from "./openpgp-packets.ts";
