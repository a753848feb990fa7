import { type AddressInfo, createServer } from "node:net";

/** A port of the loopback interface that is free now; for servers that do not say which one they took. Another process may take it meanwhile. */
export async function findFreePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
