import { InternalError } from "@signet/core";
import type { Command } from "./command-line/command.ts";
import { command as manifestDigest } from "./commands/manifest-digest.ts";
import { command as standaloneVerify } from "./commands/standalone-verify.ts";

/**
 * Every command and where it is. Loaded one at a time: the start of `signet` must not pay for commands that are not called. The two that do nothing but compute
 * are part of the start, since for them each further file to load would be a good part of their time.
 */
const loaders: Readonly<Record<string, () => Promise<{ readonly command: Command }>>> = {
  sign: () => import("./commands/sign.ts"),
  verify: () => import("./commands/verify.ts"),
  inspect: () => import("./commands/inspect.ts"),
  copy: () => import("./commands/copy.ts"),
  delete: () => import("./commands/delete.ts"),
  "standalone-sign": () => import("./commands/standalone-sign.ts"),
  "standalone-verify": async () => ({ command: standaloneVerify }),
  "manifest-digest": async () => ({ command: manifestDigest }),
  "signature inspect": () => import("./commands/signature-inspect.ts"),
  "trust show": () => import("./commands/trust-show.ts"),
  "policy check": () => import("./commands/policy-check.ts"),
  "policy explain": () => import("./commands/policy-explain.ts"),
  "policy test": () => import("./commands/policy-test.ts"),
  "trust set": () => import("./commands/trust-set.ts"),
  "trust remove": () => import("./commands/trust-remove.ts"),
  "trust default": () => import("./commands/trust-default.ts"),
  "policy simulate": () => import("./commands/policy-simulate.ts"),
  "policy diff": () => import("./commands/policy-diff.ts"),
  "keys list": () => import("./commands/keys-list.ts"),
  "keys show": () => import("./commands/keys-show.ts"),
  "keys generate": () => import("./commands/keys-generate.ts"),
  "keys export": () => import("./commands/keys-export.ts"),
  "checksums verify": () => import("./commands/checksums-verify.ts"),
  "release info": () => import("./commands/release-info.ts"),
  "release verify": () => import("./commands/release-verify.ts"),
  "release trust": () => import("./commands/release-trust.ts"),
  "release configmap": () => import("./commands/release-configmap.ts"),
  "verify-image-signature": () => import("./commands/verify-image-signature.ts"),
  "catalog audit": () => import("./commands/catalog-audit.ts"),
  "machineconfig render": () => import("./commands/machineconfig-render.ts"),
  "machineconfig verify": () => import("./commands/machineconfig-verify.ts"),
  "machineconfig status": () => import("./commands/machineconfig-status.ts"),
  "image-policy render": () => import("./commands/image-policy-render.ts"),
  "image-policy lift": () => import("./commands/image-policy-lift.ts"),
  serve: () => import("./commands/serve.ts"),
  "admin config check": () => import("./commands/admin-config-check.ts"),
  "admin repository list": () => import("./commands/admin-repository-list.ts"),
  "admin repository set": () => import("./commands/admin-repository-set.ts"),
  "admin repository delete": () => import("./commands/admin-repository-delete.ts"),
  "admin key list": () => import("./commands/admin-key-list.ts"),
  "admin key add": () => import("./commands/admin-key-add.ts"),
  "admin key withdraw": () => import("./commands/admin-key-withdraw.ts"),
  "admin signature withdraw": () => import("./commands/admin-signature-withdraw.ts"),
  "admin pull-policy show": () => import("./commands/admin-pull-policy-show.ts"),
  "admin pull-policy set": () => import("./commands/admin-pull-policy-set.ts"),
  "admin check": () => import("./commands/admin-check.ts"),
  "admin collect": () => import("./commands/admin-collect.ts"),
  "admin audit verify": () => import("./commands/admin-audit-verify.ts"),
  "admin user list": () => import("./commands/admin-user-list.ts"),
  "admin user create": () => import("./commands/admin-user-create.ts"),
  "admin user set-password": () => import("./commands/admin-user-set-password.ts"),
  "admin user disable": () => import("./commands/admin-user-disable.ts"),
  "admin user enable": () => import("./commands/admin-user-enable.ts"),
  "admin user remove": () => import("./commands/admin-user-remove.ts"),
  "admin group list": () => import("./commands/admin-group-list.ts"),
  "admin group add": () => import("./commands/admin-group-add.ts"),
  "admin group remove": () => import("./commands/admin-group-remove.ts"),
  "admin group member add": () => import("./commands/admin-group-member-add.ts"),
  "admin group member remove": () => import("./commands/admin-group-member-remove.ts"),
  "admin token list": () => import("./commands/admin-token-list.ts"),
  "admin token create": () => import("./commands/admin-token-create.ts"),
  "admin token revoke": () => import("./commands/admin-token-revoke.ts"),
  "admin role list": () => import("./commands/admin-role-list.ts"),
  "admin role grant": () => import("./commands/admin-role-grant.ts"),
  "admin role revoke": () => import("./commands/admin-role-revoke.ts"),
  login: () => import("./commands/login.ts"),
  logout: () => import("./commands/logout.ts"),
  completion: () => import("./commands/completion.ts"),
};

/** In the order of the help. */
export const commandNames: readonly string[] = Object.keys(loaders);

/** @param name one of {@link commandNames} */
export async function loadCommand(name: string): Promise<Command> {
  const loader = loaders[name];
  if (loader === undefined) throw new InternalError(`there is no command ${name}`);
  return (await loader()).command;
}

/** All of them, in the order of the help. */
export async function loadCommands(): Promise<readonly Command[]> {
  return Promise.all(commandNames.map(loadCommand));
}
