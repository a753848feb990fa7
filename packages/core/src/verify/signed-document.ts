/** A document and its signature, in any of the forms that people are handed: `sha256sum.txt.gpg`, `.asc`, `.sig`, clear-signed text. */
import { OpenPgpFault } from "../formats/openpgp/fault.ts";
import { type DocumentForm, type UntrustedDocument, parseSignedDocument } from "../formats/openpgp/signed-document.ts";
import type { Keyring } from "../keys/keyring.ts";
import { CheckList, addGrammarFault } from "./signed-message-checks.ts";
import {
  type RejectedMessage,
  type SignedMessageOptions,
  type SignedMessageOutcome,
  judgeSignature,
} from "./signed-message.ts";

/** Octets of content at most, unless the options say otherwise. */
const MAX_CONTENT_BYTES = 4 * 1024 * 1024;

/** What form a document has, where that could be told, and the verdict on it. */
export interface SignedDocumentVerdict {
  readonly form?: DocumentForm;
  readonly isArmored?: boolean;
  /** An accepted outcome's `content` is the only text that is signed, of a cleartext document with LF between lines and behind the last. */
  readonly outcome: SignedMessageOutcome;
}

/**
 * Verifies a signed document by the same rules as {@link verifySignedMessage}, which takes the opaque binary form alone. The form is found by looking, never by a
 * name: an opaque message beside a file of the same name says nothing about that file. Where several people signed, one good signature by a key of the keyring is enough: they are all
 * over the same content.
 *
 * Not checked: what the content says, and whether a file beside the document holds the same text.
 *
 * @param bytes the document, or its detached signature
 * @param data what a detached signature is about; not looked at for the other forms. Without it a detached signature is rejected
 * @returns the verdict; nothing is thrown for any bytes
 */
export function verifySignedDocument(
  bytes: Uint8Array,
  data: Uint8Array | undefined,
  keyring: Keyring,
  options: SignedMessageOptions,
): SignedDocumentVerdict {
  const list = new CheckList();
  let document: UntrustedDocument;
  try {
    document = parseSignedDocument(bytes, options.engine, {
      maxContentBytes: options.maxContentBytes ?? MAX_CONTENT_BYTES,
    });
  } catch (error) {
    if (!(error instanceof OpenPgpFault)) throw error;
    addGrammarFault(error, list);
    return { outcome: { verdict: "rejected", reasons: list.reasons, checks: list.checks } };
  }
  const { form, isArmored, signatures } = document;
  const content = document.content ?? data;
  if (content === undefined) {
    list.fail("document-missing", "a detached signature, and the file that it is about was not given", {
      hint: "name the file that was signed as well",
    });
    const outcome = {
      verdict: "rejected",
      reasons: list.reasons,
      checks: list.checks,
      keyId: signatures[0]!.keyId!,
    } as const;
    return { form, isArmored, outcome };
  }
  const rejected: RejectedMessage[] = [];
  for (const signature of signatures) {
    const own = new CheckList();
    own.add({
      name: "message-grammar",
      outcome: "passed",
      message:
        signatures.length === 1 ? `exactly one signature, ${form}` : `one of ${signatures.length} signatures, ${form}`,
      clause: form === "cleartext" ? "RFC 9580 section 7" : "RFC 9580 section 10.3",
    });
    const outcome = judgeSignature(signature, content, keyring, options, own);
    if (outcome.verdict === "rejected") rejected.push(outcome);
    else
      return {
        form,
        isArmored,
        outcome: form === "cleartext" ? { ...outcome, content: withPlainLines(content) } : outcome,
      };
  }
  return { form, isArmored, outcome: joinRejections(rejected) };
}

/** @param rejected at least one */
function joinRejections(rejected: readonly RejectedMessage[]): RejectedMessage {
  const [first] = rejected as readonly [RejectedMessage, ...RejectedMessage[]];
  if (rejected.length === 1) return first;
  const reasons = rejected.flatMap((one) => one.reasons);
  return { ...first, reasons, checks: rejected.flatMap((one) => one.checks) };
}

/** The text as people have it in files. */
function withPlainLines(content: Uint8Array): Uint8Array {
  const plain = content.filter((octet, index) => !(octet === 0x0d && content[index + 1] === 0x0a));
  const text = new Uint8Array(plain.length + 1);
  text.set(plain);
  text[plain.length] = 0x0a;
  return text;
}
