/** Ends a connection on which a client is still sending, so that it gets to read the answer. */
import type { Socket } from "node:net";

/** How long the end of a connection waits for its client. */
export interface LingerLimits {
  /** Milliseconds that a client has to read the answer and to stop. */
  readonly milliseconds: number;
  /** Bytes that are thrown away meanwhile. */
  readonly bytes: number;
}

/** Two seconds, and what is on its way when a client of a fast network reads the answer. */
const usual: LingerLimits = { milliseconds: 2_000, bytes: 4 * 1024 * 1024 };
/** Milliseconds between two looks at how much came. */
const LOOK_MS = 5;

/**
 * Makes the end of a connection wait, once its last answer is sent, until the client has closed it as well, or has had its time and bytes. Closed at once, the system would answer what still
 * comes with a reset, and the client might lose the answer that it has not read.
 */
export function lingerBeforeClose(socket: Socket, limits: LingerLimits = usual): void {
  // What node's server calls after the last answer; its parser goes on and drops the rest of the body.
  socket.destroySoon = () => {
    socket.end();
    const last = socket.bytesRead + limits.bytes;
    const until = performance.now() + limits.milliseconds;
    const look = setInterval(() => {
      if (socket.bytesRead > last || performance.now() > until) socket.destroy();
    }, LOOK_MS);
    socket.once("end", () => socket.destroy());
    socket.once("close", () => clearInterval(look));
  };
}
