/** What became of a finding. */
export type RepairOutcome =
  | { readonly repaired: true; readonly what: string }
  /** With the reason, where it is not that nothing can be done. */
  | { readonly repaired: false; readonly why?: string };

/** Of a finding about a state that has passed. */
export const passed: RepairOutcome = { repaired: true, what: "it is no longer so" };
