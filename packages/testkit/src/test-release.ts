/** A synthetic OpenShift release: tiny component images, and the release image that refers to them by digest. */
import { type TestImage, type TestImageOptions, buildTestImage } from "./test-image.ts";

export interface TestReleaseOptions {
  /** `host/path` of the components. */
  readonly repository: string;
  /** How many. */
  readonly count: number;
  /** Default 4.99.0. */
  readonly version?: string;
  /** Further files of `release-manifests`, by name. */
  readonly manifests?: Readonly<Record<string, string>>;
  /** Options of the components with these positions, from 0, beyond their seed. */
  readonly special?: Readonly<Record<number, TestImageOptions>>;
}

export interface TestRelease {
  readonly image: TestImage;
  readonly components: readonly TestImage[];
  /** `component-0`, … */
  readonly names: readonly string[];
}

/** The same bytes for the same options. */
export async function buildTestRelease(options: TestReleaseOptions): Promise<TestRelease> {
  const { repository, count, version = "4.99.0", special = {}, manifests = {} } = options;
  const components: TestImage[] = [];
  for (let index = 0; index < count; index++)
    components.push(await buildTestImage({ seed: 1000 + index, layerBytes: 16, ...special[index] }));
  const names = components.map((_, index) => `component-${index}`);
  const imageReferences = {
    kind: "ImageStream",
    apiVersion: "image.openshift.io/v1",
    metadata: { name: version, creationTimestamp: "2026-01-01T00:00:00Z" },
    spec: {
      lookupPolicy: { local: false },
      tags: components.map(({ digest }, index) => ({
        name: names[index],
        annotations: { "io.openshift.build.versions": index === 0 ? "kubernetes=1.99.0" : "" },
        from: { kind: "DockerImage", name: `${repository}@${digest}` },
        generation: 2,
        importPolicy: {},
        referencePolicy: { type: "Source" },
      })),
    },
  };
  const metadata = {
    kind: "cincinnati-metadata-v0",
    version,
    previous: ["4.98.9", "4.98.10"],
    metadata: { url: "https://example.com/errata/1" },
  };
  const image = await buildTestImage({
    seed: 999,
    layers: 2,
    files: {
      "release-manifests/image-references": JSON.stringify(imageReferences, undefined, 2),
      "release-manifests/release-metadata": JSON.stringify(metadata, undefined, 2),
      "release-manifests/0000_50_operator_deployment.yaml": "kind: Deployment\n",
      ...Object.fromEntries(Object.entries(manifests).map(([name, text]) => [`release-manifests/${name}`, text])),
    },
  });
  return { image, components, names };
}
