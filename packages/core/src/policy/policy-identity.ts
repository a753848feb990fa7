/** What policy.json is asked with (policy-json, section 3). Resolved once per image name; holds no I/O. */
export interface PolicyIdentity {
  /** Transport name as policy.json writes it: `docker`, `dir`, `oci`, `oci-archive`, `atomic`, … */
  readonly transport: string;
  /** `host/path:tag`, `host/path@sha256:…`, or a resolved absolute path. */
  readonly identity: string;
  /** Less specific scopes, most to least specific, without the identity itself, `""` and the default. */
  readonly namespaces: readonly string[];
}
