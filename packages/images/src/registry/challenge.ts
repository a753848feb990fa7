/** The `WWW-Authenticate` header (RFC 9110, sections 11.2, 11.3 and 11.6.1). */
import { StoreError } from "@signet/core";

/** One challenge: how a server would like to be convinced. Untrusted. */
export interface Challenge {
  /** In lower case: `bearer`, `basic`, … */
  readonly scheme: string;
  /** Names in lower case; none repeats. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** Characters of all `WWW-Authenticate` lines of one answer. Realm, service and scope together take a few hundred. */
const MAX_CHALLENGE_LENGTH = 8192;

/** Challenges in one answer; servers send one or two. */
const MAX_CHALLENGES = 8;

/** Parameters of one challenge; four are in use. */
const MAX_PARAMETERS = 16;

const tokenForm = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
/** Wider than a token, since servers send bare URLs and paths; still free of separators, so that it has one reading only. */
const bareValueForm = /[!#$%&'*+.^_`|~0-9A-Za-z/:@?()[\]{}<>-]+/y;
const quotedForm = /"((?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\uffff]|\\[\t\x20-\x7e])*)"/y;
const spaceForm = /[ \t]*/y;
const commasForm = /(?:[ \t]*,)*[ \t]*/y;
const token68Form = /[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|$))/y;

/**
 * Parses every challenge of an answer, in the order they stand.
 * @param lines the header's values; a header that comes several times has several
 * @throws StoreError `registry-error` when a line does not follow the grammar, repeats a parameter, or is too long
 */
export function parseChallenges(lines: string | readonly string[] | undefined): readonly Challenge[] {
  const all = lines === undefined ? [] : typeof lines === "string" ? [lines] : lines;
  let length = 0;
  for (const line of all) length += line.length;
  if (length > MAX_CHALLENGE_LENGTH) throw malformed(`longer than ${MAX_CHALLENGE_LENGTH} characters`);
  const challenges = all.flatMap((line) => new ChallengeReader(line).read());
  if (challenges.length > MAX_CHALLENGES) throw malformed(`more than ${MAX_CHALLENGES} challenges`);
  return challenges;
}

class ChallengeReader {
  readonly #line: string;
  #at = 0;

  constructor(line: string) {
    this.#line = line;
  }

  read(): Challenge[] {
    const challenges: Challenge[] = [];
    this.#take(commasForm);
    while (this.#at < this.#line.length) {
      challenges.push(this.#readChallenge());
      this.#endOfElement();
    }
    return challenges;
  }

  #readChallenge(): Challenge {
    const scheme = this.#take(tokenForm);
    if (scheme === undefined) throw malformed("expected an authentication scheme");
    const parameters = new Map<string, string>();
    if (this.#line[this.#at] !== " ") return { scheme: scheme.toLowerCase(), parameters };
    this.#take(spaceForm);
    // Some schemes (Negotiate) carry one opaque word instead of parameters.
    if (this.#take(token68Form) !== undefined) return { scheme: scheme.toLowerCase(), parameters };
    for (;;) {
      const before = this.#at;
      const parameter = this.#readParameter();
      if (parameter === undefined) {
        // Not `name=value`: after a comma that is the scheme of the next challenge.
        if (parameters.size === 0 && this.#at < this.#line.length && this.#line[this.#at] !== ",")
          throw malformed("expected name=value after the scheme");
        this.#at = before;
        return { scheme: scheme.toLowerCase(), parameters };
      }
      if (parameters.has(parameter.name)) throw malformed(`the parameter ${parameter.name} repeats`);
      if (parameters.size >= MAX_PARAMETERS) throw malformed(`more than ${MAX_PARAMETERS} parameters`);
      parameters.set(parameter.name, parameter.value);
      const end = this.#at;
      if (!this.#endOfElement()) return { scheme: scheme.toLowerCase(), parameters };
      if (!this.#parameterFollows()) {
        this.#at = end;
        return { scheme: scheme.toLowerCase(), parameters };
      }
    }
  }

  #readParameter(): { name: string; value: string } | undefined {
    const name = this.#take(tokenForm);
    if (name === undefined) return undefined;
    this.#take(spaceForm);
    if (this.#line[this.#at] !== "=") return undefined;
    this.#at++;
    this.#take(spaceForm);
    quotedForm.lastIndex = this.#at;
    const quoted = quotedForm.exec(this.#line);
    if (quoted !== null) {
      this.#at = quotedForm.lastIndex;
      return { name: name.toLowerCase(), value: quoted[1]!.replaceAll(/\\(.)/g, "$1") };
    }
    const value = this.#line[this.#at] === '"' ? undefined : this.#take(bareValueForm);
    if (value === undefined) throw malformed(`the parameter ${name} has no well-formed value`);
    return { name: name.toLowerCase(), value };
  }

  #parameterFollows(): boolean {
    const at = this.#at;
    const name = this.#take(tokenForm);
    this.#take(spaceForm);
    const follows = name !== undefined && this.#line[this.#at] === "=";
    this.#at = at;
    return follows;
  }

  /** Steps over the commas after an element; false at the end of the line. */
  #endOfElement(): boolean {
    this.#take(spaceForm);
    if (this.#at >= this.#line.length) return false;
    if (this.#line[this.#at] !== ",") throw malformed("expected a comma");
    this.#take(commasForm);
    return this.#at < this.#line.length;
  }

  #take(form: RegExp): string | undefined {
    form.lastIndex = this.#at;
    const match = form.exec(this.#line);
    if (match === null) return undefined;
    this.#at = form.lastIndex;
    return match[0];
  }
}

function malformed(problem: string): StoreError {
  return new StoreError("registry-error", `malformed WWW-Authenticate header: ${problem}`, {
    hint: "the server does not say in a readable way how it wants to be asked",
  });
}
