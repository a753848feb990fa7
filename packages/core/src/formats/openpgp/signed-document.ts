/** Documents that a person signed, in the four forms that tools write: opaque, armored, cleartext, detached. They are told apart by what they are, never by a file's name. */
import type { Engine } from "../../bytes/engine.ts";
import { detectArmor, readArmorBlocks } from "./armor.ts";
import { findCleartext } from "./cleartext.ts";
import { OpenPgpFault } from "./fault.ts";
import { peekTag, readPacket, tags } from "./packet.ts";
import type { UntrustedSignature } from "./signature.ts";
import { signatureTypes } from "./signature.ts";
import { type MessageLimits, parseMessage, parseMessageSignature } from "./signed-message.ts";

/** `opaque`: the content is inside the message. `cleartext`: it stands readable before the signature. `detached`: it is another file. */
export type DocumentForm = "opaque" | "cleartext" | "detached";

/** A signed document of an accepted form. Nothing in it is verified. */
export interface UntrustedDocument {
  readonly form: DocumentForm;
  /** True when the OpenPGP packets stand in ASCII armor. */
  readonly isArmored: boolean;
  /**
   * The one content that the signature is about, undefined for a detached signature. Of a cleartext document without the dashes that escape lines, with blanks at
   * the ends of lines removed, and with CR LF between lines, as it is hashed.
   */
  readonly content: Uint8Array | undefined;
  readonly signature: UntrustedSignature;
}

/**
 * Reads a signed document: exactly one signature, over exactly one content. RFC 9580 sections 6, 7 and 10.3.
 * @throws OpenPgpFault with the rule that is broken
 */
export function parseSignedDocument(
  bytes: Uint8Array,
  engine: Pick<Engine, "inflate">,
  limits: MessageLimits,
): UntrustedDocument {
  const armor = bytes.length > 0 && bytes[0]! < 0x80 ? detectArmor(bytes) : undefined;
  if (armor === undefined) return parseBinary(bytes, engine, limits, false);
  if (armor === "cleartext") {
    const { content, signatureArmor } = findCleartext(bytes);
    const signature = parseDetached(readOneBlock(signatureArmor, ["SIGNATURE"]));
    if (signature.type !== signatureTypes.text)
      throw new OpenPgpFault("signature-type", "a cleartext document needs a text signature");
    return { form: "cleartext", isArmored: true, content, signature };
  }
  return parseBinary(readOneBlock(bytes, ["MESSAGE", "SIGNATURE"]), engine, limits, true);
}

function parseBinary(
  bytes: Uint8Array,
  engine: Pick<Engine, "inflate">,
  limits: MessageLimits,
  isArmored: boolean,
): UntrustedDocument {
  // A signature may also stand before its content; alone it is detached.
  if (peekTag(bytes, 0) === tags.signature && isAllSignatures(bytes)) {
    return { form: "detached", isArmored, content: undefined, signature: parseDetached(bytes) };
  }
  const { literal, signature } = parseMessage(bytes, engine, limits);
  return { form: "opaque", isArmored, content: literal.content, signature };
}

function isAllSignatures(bytes: Uint8Array): boolean {
  let at = 0;
  while (at < bytes.length) {
    if (peekTag(bytes, at) !== tags.signature) return false;
    at = readPacket(bytes, at).end;
  }
  return true;
}

function parseDetached(bytes: Uint8Array): UntrustedSignature {
  if (bytes.length === 0) throw new OpenPgpFault("message-empty", "the signature is empty");
  const packet = readPacket(bytes, 0);
  if (packet.tag !== tags.signature)
    throw new OpenPgpFault("message-unexpected-packet", "something else than a signature packet", 0);
  if (packet.end < bytes.length) {
    const isSignature = peekTag(bytes, packet.end) === tags.signature;
    throw isSignature
      ? new OpenPgpFault("message-several-signatures", "more than one signature", packet.end)
      : new OpenPgpFault("message-trailing-data", `${bytes.length - packet.end} octets follow the signature`);
  }
  return parseMessageSignature(packet);
}

/** The content of the only armored block. */
function readOneBlock(text: Uint8Array, types: readonly string[]): Uint8Array {
  const [block, ...others] = readArmorBlocks(text);
  if (block === undefined) throw new OpenPgpFault("armor-malformed", "there is no whole armored block");
  if (others.length > 0) throw new OpenPgpFault("armor-malformed", "more than one armored block");
  if (!types.includes(block.type))
    throw new OpenPgpFault("message-not-openpgp", `a ${block.type} block is no signed document`);
  if (block.bytes === undefined) throw new OpenPgpFault("armor-malformed", `the armored block: ${block.problem}`);
  return block.bytes;
}
