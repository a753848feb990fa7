/** Images that a Kubernetes object names. */
import { FormatError } from "@signet/core";
import { type DocumentMap, type DocumentValue, isDocumentList, isDocumentMap, memberOf } from "./document-value.ts";
import type { InventoryCollector } from "./inventory.ts";

/** Lists inside lists: `kubectl` writes none, other tools one. */
const MAX_LIST_DEPTH = 4;

/**
 * Where a pod's specification stands, by the form of the object: Pod; what has a pod template (Deployment, StatefulSet, DaemonSet, ReplicaSet, ReplicationController, Job,
 * DeploymentConfig and kinds of others built alike); CronJob; PodTemplate.
 */
const podPlaces: readonly (readonly string[])[] = [
  [],
  ["spec", "template"],
  ["spec", "jobTemplate", "spec", "template"],
  ["template"],
];

/** Lists of containers inside a pod's specification, each with the list of its status. */
const containerLists: readonly (readonly [string, string])[] = [
  ["initContainers", "initContainerStatuses"],
  ["containers", "containerStatuses"],
  ["ephemeralContainers", "ephemeralContainerStatuses"],
];

/** True for what says that it is a Kubernetes object. */
export function isKubernetesObject(value: DocumentValue): value is DocumentMap {
  return isDocumentMap(value) && typeof value.get("kind") === "string";
}

/**
 * Adds the images of an object, or of all objects of a list. An object without a pod in it, such as a Service, has none.
 * @param listKind of the list that the object is an item of: items of a list from the API do not say what they are
 * @param where for messages
 * @throws FormatError `image-list-malformed` for containers that are no such
 */
export function collectKubernetesObject(
  object: DocumentMap,
  collector: InventoryCollector,
  where: string,
  listKind = "",
  listDepth = 0,
): void {
  const kind = textOf(object.get("kind")) ?? kindOfItem(object, listKind);
  const items = object.get("items");
  if (kind.endsWith("List") && isDocumentList(items)) {
    if (listDepth >= MAX_LIST_DEPTH) throw malformed(where, `lists nested deeper than ${MAX_LIST_DEPTH}`);
    for (const item of items) {
      if (!isDocumentMap(item)) throw malformed(where, "an item of a list is no object");
      collectKubernetesObject(item, collector, where, kind, listDepth + 1);
    }
    return;
  }
  const user = nameUser(object, kind);
  let hasPod = false;
  for (const place of podPlaces) {
    const pod = memberOf(object, ...place);
    const spec = memberOf(pod, "spec");
    if (!isDocumentMap(spec) || !containerLists.some(([list]) => spec.has(list))) continue;
    hasPod = true;
    const status = place.length === 0 ? memberOf(object, "status") : undefined;
    for (const [list, statuses] of containerLists)
      collectContainers(spec.get(list), memberOf(status, statuses), collector, user, `${where}: ${user}`);
  }
  if (!hasPod && kind === "Pod") throw malformed(`${where}: ${user}`, "a pod without containers");
}

/** The kind of an item that does not say it; its list's name may come behind its items. */
function kindOfItem(object: DocumentMap, listKind: string): string {
  if (listKind !== "" && listKind !== "List") return listKind.replace(/List$/, "");
  if (isDocumentList(memberOf(object, "spec", "containers"))) return "Pod";
  return isDocumentMap(memberOf(object, "spec", "jobTemplate")) ? "CronJob" : "Workload";
}

function collectContainers(
  containers: DocumentValue | undefined,
  statuses: DocumentValue | undefined,
  collector: InventoryCollector,
  user: string,
  where: string,
): void {
  if (containers === undefined || containers === null) return;
  if (!isDocumentList(containers)) throw malformed(where, "containers that are no list");
  for (const container of containers) {
    if (!isDocumentMap(container)) throw malformed(where, "a container that is no object");
    const image = container.get("image");
    if (image === undefined || image === null || (typeof image === "string" && image.trim() === "")) {
      // Something else fills it in later, such as the image trigger of a DeploymentConfig.
      collector.warn("container without an image, passed over");
      continue;
    }
    if (typeof image !== "string") throw malformed(where, "an image that is no text");
    const name = container.get("name");
    const status = isDocumentList(statuses) ? statuses.find((one) => memberOf(one, "name") === name) : undefined;
    const imageId = memberOf(status, "imageID");
    collector.addReference({
      name: image.trim(),
      user,
      ...(typeof imageId === "string" && name !== undefined ? { imageId } : {}),
    });
  }
}

/** `namespace/Kind/name`. What a controller made is named by its controller: there may be hundreds of such pods, and their names are made up. */
function nameUser(object: DocumentMap, kind: string): string {
  const metadata = object.get("metadata");
  const namespace = textOf(memberOf(metadata, "namespace"));
  const owners = memberOf(metadata, "ownerReferences");
  const owner = isDocumentList(owners) ? owners.find((one) => memberOf(one, "controller") === true) : undefined;
  const name =
    textOf(memberOf(owner, "name")) ??
    textOf(memberOf(metadata, "name")) ??
    textOf(memberOf(metadata, "generateName")) ??
    "?";
  const user = `${textOf(memberOf(owner, "kind")) ?? kind}/${name}`;
  return (namespace === undefined ? user : `${namespace}/${user}`).slice(0, MAX_USER_LENGTH);
}

/** Characters: namespace and name have at most 63 and 253. */
const MAX_USER_LENGTH = 400;

function textOf(value: DocumentValue | undefined): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function malformed(where: string, problem: string): FormatError {
  return new FormatError("image-list-malformed", `${where}: ${problem}`, {
    hint: "check that it is what `kubectl get pods -A -o json` or a manifest has",
  });
}
