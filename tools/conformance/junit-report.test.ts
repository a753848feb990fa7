import assert from "node:assert/strict";
import { test } from "node:test";
import { compareNames, parseJunitReport } from "./junit-report.ts";

const report = `<testsuites time="1.5" tests="3" failures="1">
  <testsuite name="OCI Conformance Test" tests="3" failures="1" errors="0" skipped="1" time="1.5">
    <properties><property name="Config" value="tests=&quot;9&quot;"></property></properties>
    <testcase name="OCI Conformance Test/ping" classname="" time="0.01" status="passed"></testcase>
    <testcase name="OCI Conformance Test/a &amp; b/&#34;c&#34;" classname="" time="0.01" status="failure">
      <system-err>&lt;testcase name="no case"&gt;</system-err>
    </testcase>
  </testsuite>
</testsuites>`;

test("a report's counts and cases are read", () => {
  assert.deepEqual(parseJunitReport(report), {
    tests: 3,
    failures: 1,
    errors: 0,
    skipped: 1,
    disabled: 0,
    cases: [
      { name: "OCI Conformance Test/ping", status: "passed" },
      { name: 'OCI Conformance Test/a & b/"c"', status: "failure" },
    ],
  });
});

test("a report without cases is none", () => {
  assert.throws(() => parseJunitReport("<testsuites></testsuites>"), /no cases/);
});

test("names that one side lacks are told, how often they occur is not", () => {
  assert.deepEqual(compareNames(["a", "b", "b"], ["a", "a", "b"]), { missing: [], surplus: [] });
  assert.deepEqual(compareNames(["a", "b"], ["c", "a"]), { missing: ["c"], surplus: ["b"] });
});
