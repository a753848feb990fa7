/** Limits shared by several formats. A limit that only one format knows stands beside that format's parser. */

/** Bytes: the largest manifest read. What registries and containers/image allow. */
export const MAX_MANIFEST_BYTES: number = 4 * 1024 * 1024;

/** Bytes: the largest stored signature blob, as containers/image caps it. */
export const MAX_SIGNATURE_BYTES: number = 4 * 1024 * 1024;

/** Signatures read for one manifest. containers/image gives up at 128, taking more for a server error. */
export const MAX_SIGNATURES_PER_MANIFEST: number = 128;

/** Levels: the deepest JSON nesting read. Go's decoder, which the reference uses, stops at the same depth. */
export const MAX_JSON_DEPTH: number = 10_000;

/** Values of one JSON document (members count with their value). The largest genuine manifests have some ten thousand; each value costs about a hundred bytes of memory. */
export const MAX_JSON_VALUES: number = 250_000;

/** Values of one policy.json: 100,000 scopes have about a million. */
export const MAX_POLICY_VALUES: number = 1_000_000;

/** Bytes: the largest policy.json read. 10,000 scopes with embedded keys stay well below it. */
export const MAX_POLICY_BYTES: number = 16 * 1024 * 1024;

/** Bytes: the largest keyring file read. Whole distributions' keyrings are a hundredth of it. */
export const MAX_KEYRING_BYTES: number = 16 * 1024 * 1024;
