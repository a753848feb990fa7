/** Moves the tag `1` of a repository to another image, as a process of its own: FILE PATH SEED. Prints the image's manifest. For tests only. */
import { openSqlite } from "../db/sqlite.ts";
import { pushImage } from "../trust/trust.testing.ts";

const [file = "", path = "", seed = ""] = process.argv.slice(2);
const database = await openSqlite(file);
process.stdout.write((await pushImage(database, path, Number(seed))).bytes);
await database.close();
