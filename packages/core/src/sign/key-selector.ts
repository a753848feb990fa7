import { UsageError } from "../errors.ts";
import type { Certificate } from "../keys/certificate.ts";

/** Certificates that a message lists at most. */
const MAX_LISTED = 10;

/**
 * True when `selector` means this certificate: a full fingerprint or 16-digit key id of its primary key or of one of its subkeys, with or without `0x` and
 * spaces; or a part of one of its user ids, in any case, such as an e-mail address.
 */
export function matchesSelector(certificate: Certificate, selector: string): boolean {
  const hex = selector.replace(/^0x/i, "").replace(/ /g, "").toUpperCase();
  if (/^(?:[0-9A-F]{16}|[0-9A-F]{40}|[0-9A-F]{64})$/.test(hex)) {
    return [certificate.primary, ...certificate.subkeys].some((key) => key.fingerprint === hex || key.keyId === hex);
  }
  const wanted = selector.toLowerCase();
  return wanted !== "" && certificate.userIds.some((userId) => userId.toLowerCase().includes(wanted));
}

/**
 * The one certificate that is meant. Copies of one certificate count once.
 * @param selector see {@link matchesSelector}; undefined means the only one there is
 * @param where for messages, such as `the key file`
 * @throws UsageError `key-ambiguous` when several fit; undefined is returned when none does
 */
export function selectCertificate(
  certificates: readonly Certificate[],
  selector: string | undefined,
  where: string,
): Certificate | undefined {
  const fitting = new Map<string, Certificate>();
  for (const certificate of certificates) {
    if (selector === undefined || matchesSelector(certificate, selector)) {
      fitting.set(certificate.fingerprint, certificate);
    }
  }
  if (fitting.size <= 1) return fitting.values().next().value;
  const listed = [...fitting.values()].slice(0, MAX_LISTED).map(describeCertificate);
  const more = fitting.size > MAX_LISTED ? ", …" : "";
  const what =
    selector === undefined ? `holds ${fitting.size} keys` : `has ${fitting.size} keys for ${quote(selector)}`;
  throw new UsageError("key-ambiguous", `${where} ${what}: ${listed.join(", ")}${more}`, {
    hint: "name the key by its full fingerprint",
  });
}

/** Fingerprint and first user id, for messages. */
export function describeCertificate(certificate: Certificate): string {
  const [userId] = certificate.userIds;
  return userId === undefined ? certificate.fingerprint : `${certificate.fingerprint} (${quote(userId)})`;
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}
