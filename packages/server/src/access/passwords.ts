/** Passwords: argon2id for our own, bcrypt for those that an htpasswd file brought. */
import { argon2, randomBytes, timingSafeEqual } from "node:crypto";
import bcrypt from "bcryptjs";
import { InternalError, StoreError, UsageError } from "@signet/core";

/** KiB: OWASP's Password Storage Cheat Sheet asks for at least 19 MiB with two passes and one lane. */
const MEMORY_KIB = 19_456;
const PASSES = 2;
const LANES = 1;
/** Bytes: RFC 9106 section 4 recommends 128 bits of salt and 256 bits of tag. */
const SALT_BYTES = 16;
const TAG_BYTES = 32;

/** What a stored hash may ask for at most: each check takes its memory. */
const MAX_MEMORY_KIB = 65_536;
const MAX_PASSES = 10;
const MAX_LANES = 4;
/** 2^12 rounds are near a second in JavaScript, on the thread that serves requests; see {@link isOutdated}. */
export const MAX_BCRYPT_COST = 12;
/** bcrypt sees no more of a password. */
const BCRYPT_BYTES = 72;

/** NIST SP 800-63B asks for at least 8 characters. */
const MIN_PASSWORD_LENGTH = 8;
/** Bytes of UTF-8: far more than anybody types, far less than a header holds. */
export const MAX_PASSWORD_BYTES = 512;

/** Passwords computed at once: each takes 19 MiB and one of the four threads that files are read with, too. */
const MAX_AT_ONCE = 2;
/** About three seconds of work; whoever comes after that is asked to come back. */
const MAX_WAITING = 100;

/** 128 bits, enough against guessing; in characters that no shell or URL minds. */
const RANDOM_PASSWORD_BYTES = 18;

interface ArgonHash {
  readonly memory: number;
  readonly passes: number;
  readonly lanes: number;
  readonly salt: Uint8Array;
  readonly tag: Uint8Array;
}

/** What accounts that do not exist, or have no password, are compared with: as costly as a real hash, and equal to nothing. */
const nobodysHash = writeHash({
  memory: MEMORY_KIB,
  passes: PASSES,
  lanes: LANES,
  salt: randomBytes(SALT_BYTES),
  tag: randomBytes(TAG_BYTES),
});

/** A password that nobody can guess, for a person to copy. */
export function makeRandomPassword(): string {
  return randomBytes(RANDOM_PASSWORD_BYTES).toString("base64url");
}

/**
 * Passes when an account may have this password.
 * @throws UsageError `password-refused`; the message never holds the password
 */
export function checkNewPassword(password: string): void {
  const refuse = (problem: string): never => {
    throw new UsageError("password-refused", `the password ${problem}`);
  };
  if (password === "") refuse("is empty");
  if (Array.from(password).length < MIN_PASSWORD_LENGTH) refuse(`has fewer than ${MIN_PASSWORD_LENGTH} characters`);
  if (Buffer.byteLength(password) > MAX_PASSWORD_BYTES) refuse(`has more than ${MAX_PASSWORD_BYTES} bytes`);
  // RFC 7617 section 2: Basic cannot carry them.
  if (/\p{Cc}/u.test(password)) refuse("has control characters");
  // A lone surrogate has no UTF-8.
  if (!password.isWellFormed()) refuse("is not well-formed text");
}

/**
 * A PHC string (`$argon2id$v=19$…`) with a salt of its own.
 * @param password one that {@link checkNewPassword} passes
 * @throws UsageError `password-refused`, StoreError `login-busy`
 */
export async function hashPassword(password: string): Promise<string> {
  checkNewPassword(password);
  const hash = { memory: MEMORY_KIB, passes: PASSES, lanes: LANES, salt: randomBytes(SALT_BYTES), tag: randomBytes(0) };
  const tag = await inTurn(() => compute(password, hash, TAG_BYTES));
  return writeHash({ ...hash, tag });
}

/**
 * Whether a password belongs to a stored hash. Takes as long where there is no hash, and compares in constant time.
 *
 * @param stored a hash from the database; null: no such account, or no password
 * @param turn what is done in this check's turn, so that no more guesses than checks run at once are made before one of them counts
 * @throws StoreError `login-busy` when too many wait; InternalError when the stored hash is none that we write or import
 */
export async function verifyPassword(
  password: string,
  stored: string | null,
  turn: PasswordTurn = {},
): Promise<"not-tried" | "right" | "wrong"> {
  // Nothing that long was ever stored; this tells nothing of the account.
  if (password === "" || Buffer.byteLength(password) > MAX_PASSWORD_BYTES) return "wrong";
  return await inTurn(async () => {
    if ((await turn.isWanted?.()) === false) return "not-tried";
    const isRight = isBcryptHash(stored)
      ? await isBcryptOf(password, stored)
      : await isArgonOf(password, stored ?? nobodysHash);
    if (isRight && stored !== null) return "right";
    await turn.onWrong?.();
    return "wrong";
  });
}

/** Who checks a password may look before, and count after. */
export interface PasswordTurn {
  /** False: the check is not made, since others have failed meanwhile. */
  readonly isWanted?: () => Promise<boolean>;
  readonly onWrong?: () => Promise<void>;
}

/** True for a bcrypt hash (`$2a$`, `$2b$`, `$2y$`) whose cost we bear. */
export function isBcryptHash(text: string | null): text is string {
  const cost = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/.exec(text ?? "")?.[1];
  return cost !== undefined && Number(cost) >= 4 && Number(cost) <= MAX_BCRYPT_COST;
}

/** True when the hash should be made anew from the password that has just been proved: other parameters than today's, or bcrypt. */
export function isOutdated(stored: string, password: string): boolean {
  // What is beyond bcrypt's 72 bytes was never checked: it must not become part of the password.
  if (isBcryptHash(stored)) return Buffer.byteLength(password) <= BCRYPT_BYTES && isAcceptable(password);
  const { memory, passes, lanes } = readHash(stored);
  return memory !== MEMORY_KIB || passes !== PASSES || lanes !== LANES;
}

function isAcceptable(password: string): boolean {
  try {
    checkNewPassword(password);
    return true;
  } catch {
    return false;
  }
}

async function isArgonOf(password: string, stored: string): Promise<boolean> {
  const hash = readHash(stored);
  return timingSafeEqual(await compute(password, hash, hash.tag.length), hash.tag);
}

async function isBcryptOf(password: string, stored: string): Promise<boolean> {
  const computed = Buffer.from(await bcrypt.hash(password, stored.slice(0, 29)));
  // The letter after `$2` names the implementation, not the algorithm.
  return timingSafeEqual(computed.subarray(4), Buffer.from(stored).subarray(4));
}

async function compute(password: string, hash: ArgonHash, tagLength: number): Promise<Uint8Array> {
  // RFC 8265 section 4.2 (OpaqueString): the same text however a keyboard composed it.
  const message = password.normalize("NFC");
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  argon2(
    "argon2id",
    {
      message,
      nonce: hash.salt,
      memory: hash.memory,
      passes: hash.passes,
      parallelism: hash.lanes,
      tagLength,
    },
    (error, tag) => {
      if (error === null) resolve(tag);
      else reject(new StoreError("login-busy", `a password cannot be checked: ${error.message}`, { retryable: true }));
    },
  );
  return await promise;
}

function writeHash({ memory, passes, lanes, salt, tag }: ArgonHash): string {
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64").replace(/=+$/, "");
  return `$argon2id$v=19$m=${memory},t=${passes},p=${lanes}$${text(salt)}$${text(tag)}`;
}

function readHash(text: string): ArgonHash {
  const form = /^\$argon2id\$v=19\$m=(\d{1,6}),t=(\d{1,2}),p=(\d)\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/;
  const [, memory = 0, passes = 0, lanes = 0, salt = "", tag = ""] = form.exec(text) ?? [];
  const hash = {
    memory: Number(memory),
    passes: Number(passes),
    lanes: Number(lanes),
    salt: Buffer.from(salt, "base64"),
    tag: Buffer.from(tag, "base64"),
  };
  const isBounded =
    hash.lanes >= 1 &&
    hash.lanes <= MAX_LANES &&
    hash.passes >= 1 &&
    hash.passes <= MAX_PASSES &&
    hash.memory >= 8 * hash.lanes &&
    hash.memory <= MAX_MEMORY_KIB;
  if (!isBounded)
    throw new InternalError("the stored hash of a password has an unknown form or unreasonable parameters");
  return hash;
}

// The bound is the process's, as the memory is: the one thing here that is not handed in.
let running = 0;
const waiting: (() => void)[] = [];

async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (running >= MAX_AT_ONCE) {
    if (waiting.length >= MAX_WAITING) {
      throw new StoreError("login-busy", "too many passwords are being checked", { retryable: true });
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    waiting.push(resolve);
    // Whoever ends hands its turn over, so that `running` stays as it is.
    await promise;
  } else {
    running += 1;
  }
  try {
    return await work();
  } finally {
    const next = waiting.shift();
    if (next === undefined) running -= 1;
    else next();
  }
}
