/** Which sections of registries.d speak of the images of a docker scope. */
import type { StoreFacts, StoreSection, StoreUrl } from "./lint-facts.ts";
import { isBelow, sameOrLessSpecificNames } from "./scope-order.ts";

/** The sections for one scope. */
export interface ScopeSections {
  /** Those that speak of every image of the scope, most specific first, `default-docker` last. */
  readonly governing: readonly StoreSection[];
  /** Those that speak of some of its images. */
  readonly below: readonly StoreSection[];
}

/** @param scope a docker scope that can match; `""` for all images */
export function lookasideSectionsFor({ sections, defaultSection }: StoreFacts, scope: string): ScopeSections {
  const names = sameOrLessSpecificNames(scope);
  const governing = names.flatMap((name) => sections.get(name) ?? []);
  const below = [...sections.values()].filter(({ namespace }) => {
    return namespace !== undefined && namespace !== scope && isBelow(namespace, scope);
  });
  return { governing: defaultSection === undefined ? governing : [...governing, defaultSection], below };
}

/** The URL that a section gives for reading. */
export function readingUrlOf({ urls }: StoreSection): StoreUrl | undefined {
  return urls.find(({ key }) => key === "lookaside") ?? urls.find(({ key }) => key === "sigstore");
}
