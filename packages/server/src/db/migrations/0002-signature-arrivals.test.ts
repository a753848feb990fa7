import assert from "node:assert/strict";
import test from "node:test";
import { findServed } from "../../content/repositories.ts";
import { listSignatures } from "../../content/signatures.ts";
import { makeSigner, pushImage, storeSignature } from "../../trust/trust.testing.ts";
import { forEachDatabase } from "../databases.testing.ts";
import { undoSignatureArrivals } from "./rollback.testing.ts";

forEachDatabase((make) => {
  test("signatures of a database from before are listed by the name that they had, in every repository that holds them", async (t) => {
    const place = await make(t);
    if (place === undefined) return;
    const database = await place.open();
    const image = await pushImage(database, "team/one", 1);
    await pushImage(database, "team/two", 1);
    const bytes = await (await makeSigner()).sign(image.bytes, "r.example.com/team:1");
    for (const path of ["team/one", "team/two"]) await storeSignature(database, path, image.digest, bytes);
    await database.write((writer) => undoSignatureArrivals(writer, database.kind));
    const again = await place.open();
    for (const path of ["team/one", "team/two"]) {
      const served = await findServed(again.read, path);
      const names = (await listSignatures(again.read, served!, image.digest)).map((one) => one.name);
      assert.deepEqual(names, ["old-name"]);
    }
    const other = await (await makeSigner()).sign(image.bytes, "r.example.com/team:2");
    await storeSignature(again, "team/one", image.digest, other);
  });
});
