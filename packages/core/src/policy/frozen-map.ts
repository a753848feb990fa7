/** A map that throws when something tries to change it: a policy that has been read stays what it was. */
export function frozenMap<Key, Value>(entries: Iterable<readonly [Key, Value]>): ReadonlyMap<Key, Value> {
  const map = new Map(entries);
  const refuse = (): never => {
    throw new TypeError("a parsed policy cannot be changed");
  };
  for (const method of ["set", "delete", "clear"] as const) Object.defineProperty(map, method, { value: refuse });
  return Object.freeze(map);
}
