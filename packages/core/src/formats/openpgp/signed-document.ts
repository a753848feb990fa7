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
  /** At least one. Those of other versions and types beside them are left out. */
  readonly signatures: readonly UntrustedSignature[];
}

/** Signatures of one document. */
const MAX_SIGNATURES = 16;

/**
 * Reads a signed document: exactly one content, and the signatures over it; several only where they stand apart from it, as cleartext and detached forms have them. RFC 9580 sections
 * 6, 7 and 10.3.
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
    const all = parseDetached(readOneBlock(signatureArmor, ["SIGNATURE"]));
    const signatures = all.filter(({ type }) => type === signatureTypes.text);
    if (signatures.length === 0)
      throw new OpenPgpFault("signature-type", "a cleartext document needs a text signature");
    return { form: "cleartext", isArmored: true, content, signatures };
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
    return { form: "detached", isArmored, content: undefined, signatures: parseDetached(bytes) };
  }
  const { literal, signature } = parseMessage(bytes, engine, limits);
  return { form: "opaque", isArmored, content: literal.content, signatures: [signature] };
}

function isAllSignatures(bytes: Uint8Array): boolean {
  let at = 0;
  while (at < bytes.length) {
    if (peekTag(bytes, at) !== tags.signature) return false;
    at = readPacket(bytes, at).end;
  }
  return true;
}

/** Signature packets and nothing else. One that cannot be read does not spoil those beside it. */
function parseDetached(bytes: Uint8Array): readonly UntrustedSignature[] {
  if (bytes.length === 0) throw new OpenPgpFault("message-empty", "the signature is empty");
  const signatures: UntrustedSignature[] = [];
  let fault: OpenPgpFault | undefined;
  let at = 0;
  for (let count = 0; at < bytes.length; count++) {
    if (count > 0 && peekTag(bytes, at) !== tags.signature)
      throw new OpenPgpFault("message-trailing-data", `${bytes.length - at} octets follow the signature`);
    if (count === MAX_SIGNATURES)
      throw new OpenPgpFault("message-several-signatures", `more than ${MAX_SIGNATURES} signatures`, at);
    const packet = readPacket(bytes, at);
    if (packet.tag !== tags.signature)
      throw new OpenPgpFault("message-unexpected-packet", "something else than a signature packet", 0);
    try {
      signatures.push(parseMessageSignature(packet));
    } catch (error) {
      if (!(error instanceof OpenPgpFault)) throw error;
      fault ??= error;
    }
    at = packet.end;
  }
  if (signatures.length === 0 && fault !== undefined) throw fault;
  return signatures;
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
