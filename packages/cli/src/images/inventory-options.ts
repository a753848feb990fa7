/** Options that say which images are in use. */
import type { Inventory, InventoryFormat } from "@signet/images";
import type { FlagOption, Invocation, ListOption, OptionSpec, TextOption } from "../command-line/command.ts";
import type { Runtime } from "../runtime.ts";

const fromOption: ListOption = {
  kind: "list",
  name: "from",
  value: "SOURCE",
  summary:
    "Images in use: a list, kubectl's output, manifests or a folder of them, a compose file; - for standard input",
  completion: "file",
};
const fromTypeOption: TextOption = {
  kind: "text",
  name: "from-type",
  value: "TYPE",
  choices: ["list", "kubernetes", "compose", "directory"],
  summary: "What the sources are: list, kubernetes, compose or directory (default: found out)",
  completion: "nothing",
};
const runningOption: FlagOption = {
  kind: "flag",
  name: "running",
  summary: "Judge the digests that pods run, where they are known, instead of what tags name now",
};

export const inventoryOptions: readonly OptionSpec[] = [fromOption, fromTypeOption, runningOption];

/** Whether any source was named. */
export function namesInventory(invocation: Invocation): boolean {
  return invocation.get(fromOption).length > 0;
}

/** Reads the sources that were named; what was passed over is told as warnings. */
export async function readInventory(invocation: Invocation, runtime: Runtime): Promise<Inventory> {
  const { loadInventory } = await import("@signet/images");
  const format = invocation.get(fromTypeOption) as InventoryFormat | undefined;
  const inventory = await loadInventory(invocation.get(fromOption), {
    running: invocation.get(runningOption),
    ...(format === undefined ? {} : { format }),
  });
  for (const warning of inventory.warnings) runtime.terminal.warn(warning);
  return inventory;
}
