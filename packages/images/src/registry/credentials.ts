/** How somebody proves to a registry who they are. All of it is secret: never in messages, logs or JSON output. */

/** A user name with password or access token, or an identity token that a token service gave out for refreshing. */
export type Credentials =
  | { readonly kind: "password"; readonly username: string; readonly password: string }
  | { readonly kind: "identity-token"; readonly token: string };

/** Value of an `Authorization` header (RFC 7617), in UTF-8. */
export function basicAuthorization(credentials: { readonly username: string; readonly password: string }): string {
  return `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`, "utf8").toString("base64")}`;
}

/** Every form in which the credentials travel, so that a server that echoes them can be kept from having them printed. */
export function secretsOf(credentials: Credentials | undefined): readonly string[] {
  if (credentials === undefined) return [];
  if (credentials.kind === "identity-token") return [credentials.token];
  return [basicAuthorization(credentials).slice("Basic ".length), credentials.password];
}
