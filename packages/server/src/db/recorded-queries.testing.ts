/** The statements that a function sends to a database, and how the database would run them. For tests and measurements only. */
import { CompiledQuery, type KyselyPlugin, type RootOperationNode, createQueryId } from "kysely";
import type { Database, Reader } from "./database.ts";

/** A database that notes each statement, in order, and is otherwise the other one. */
export interface RecordedDatabase {
  readonly database: Database;
  /** What was noted since it was asked last. */
  take(): readonly CompiledQuery[];
}

/** @param database stays as it is, and is closed by whoever opened it */
export function recordQueries(database: Database): RecordedDatabase {
  let nodes: RootOperationNode[] = [];
  const plugin: KyselyPlugin = {
    transformQuery: ({ node }) => {
      nodes.push(node);
      return node;
    },
    transformResult: ({ result }) => Promise.resolve(result),
  };
  return {
    database: {
      ...database,
      read: database.read.withPlugin(plugin),
      write: (change) => database.write((writer) => change(writer.withPlugin(plugin))),
      note: (change) => database.note((writer) => change(writer.withPlugin(plugin))),
      snapshot: (look) => database.snapshot((reader) => look(reader.withPlugin(plugin))),
    },
    take: () => {
      const executor = database.read.getExecutor();
      const taken = nodes.map((node) => executor.compileQuery(node, createQueryId()));
      nodes = [];
      return taken;
    },
  };
}

/** One step of a plan: an indented line of EXPLAIN, or a row of EXPLAIN QUERY PLAN. */
export async function explainQuery(
  database: Pick<Database, "kind">,
  reader: Reader,
  query: CompiledQuery,
  options = "",
): Promise<readonly string[]> {
  const prefix = database.kind === "sqlite" ? "explain query plan" : `explain ${options}`;
  const { rows } = await reader.executeQuery<Record<string, unknown>>(
    CompiledQuery.raw(`${prefix} ${query.sql}`, [...query.parameters]),
  );
  return rows.map((row) => String(row["detail"] ?? row["QUERY PLAN"]));
}
