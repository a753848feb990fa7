/** How long does it take to find the governing scope, and to parse the policy, with 1, 100 and 10,000 scopes? The baseline of a look-up is one `Map.get`. */
import { dockerPolicyIdentity, findGoverningScope, parsePolicy, parseReference } from "@signet/core";
import { compare, printTable } from "./measure.ts";

for (const scopes of [1, 100, 10_000]) {
  const names = Array.from({ length: scopes }, (_, index) => `registry-${index % 97}.example.com/team-${index}/app`);
  const docker = Object.fromEntries(
    names.map((name) => [name, [{ type: "signedBy", keyType: "GPGKeys", keyPath: `/etc/keys/${name}.gpg` }]]),
  );
  const bytes = Buffer.from(JSON.stringify({ default: [{ type: "reject" }], transports: { docker } }));
  const policy = parsePolicy(bytes);
  const plain = new Map(names.map((name) => [name, name]));
  const hits = names.slice(0, 50).map((name) => dockerPolicyIdentity(parseReference(`${name}:1`)));
  // The longest way: a deep name under a host of many labels, where nothing matches before the default.
  const miss = dockerPolicyIdentity(parseReference("a.b.c.d.e.f.example.net:5000/one/two/three/four/five/six:1"));
  const rows = compare([
    { name: "one Map.get", run: (index) => plain.get(names[index % names.length]!) },
    { name: "scope found at the repository", run: (index) => findGoverningScope(policy, hits[index % hits.length]!) },
    { name: "default after every candidate", run: () => findGoverningScope(policy, miss) },
    {
      name: "reference to scope, from text",
      run: (index) =>
        findGoverningScope(policy, dockerPolicyIdentity(parseReference(`${names[index % names.length]!}:1`))),
    },
  ]);
  printTable(`${scopes} scopes, ${bytes.length} bytes`, rows);
  for (const { name, rate } of rows) console.log(`    ${name}: ${(1e6 / rate).toFixed(2)} µs`);
  const started = performance.now();
  const rounds = scopes > 1_000 ? 5 : 200;
  for (let i = 0; i < rounds; i++) parsePolicy(bytes);
  console.log(`    parsing the policy: ${((performance.now() - started) / rounds).toFixed(2)} ms`);
}
