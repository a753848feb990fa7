/** Red Hat's trust for OpenShift releases, as every OCP release image carries it, built in so that a first release can be verified without one. */
import { type Engine, InternalError, concatBytes, decodeBase64, makeKeyring, parseKeyring } from "@signet/core";
import type { ReleaseTrust } from "./release-trust.ts";

/** Red Hat, Inc. (release key 2) <security@redhat.com>: releases. */
export const RED_HAT_RELEASE_KEY_2: string = "567E347AD0044ADE55BA8A5F199E2F91FD431D51";

/** Red Hat, Inc. (beta key 2) <security@redhat.com>: candidates and previews. */
export const RED_HAT_BETA_KEY_2: string = "B08B659EE86AF623BC90E8DB938A80CAF21541EB";

/** What a signature by one of these keys says beyond that Red Hat made it; undefined where it is nothing, and for other keys. */
export function describeRedHatKey(fingerprint: string): string | undefined {
  return fingerprint === RED_HAT_BETA_KEY_2
    ? "Red Hat's beta key 2: a candidate or preview, no general release"
    : undefined;
}

/** Keys that signatures of releases and their neighbours name, by key id: so that people see whose signature it is that nobody trusts here. */
const knownKeys: Readonly<Record<string, string>> = {
  "199E2F91FD431D51": "Red Hat's release key 2",
  "938A80CAF21541EB": "Red Hat's beta key 2",
  FCD355B305707A62: "Red Hat's release key 4",
  "45689C882FA658E0": "Red Hat's auxiliary key of 2006",
  F76F66C3D4082792: "Red Hat's auxiliary key of 2018",
  "5054E4A45A6340B3": "Red Hat's auxiliary key 3",
  "28B76E05B923888E": "OpenShift CI's first key",
  "65C28371F55D29A9": "OpenShift CI's second key",
  CF4B45E2071F0337: "OpenShift CI's third key",
  "193E53CCD2E2F7A4": "OpenShift CI's fourth key",
};

/** Whose key goes by this id. Nothing is verified: anybody can name a key. */
export function untrustedKeyName(keyId: string): string | undefined {
  return Object.hasOwn(knownKeys, keyId) ? knownKeys[keyId] : undefined;
}

const pinned: readonly string[] = [RED_HAT_RELEASE_KEY_2, RED_HAT_BETA_KEY_2];

const stores: Readonly<Record<string, string>> = {
  "openshift-official-release":
    "https://storage.googleapis.com/openshift-release/official/signatures/openshift/release",
  "openshift-official-release-mirror": "https://mirror.openshift.com/pub/openshift-v4/signatures/openshift/release",
};

/**
 * The keys and stores of the ConfigMap `openshift-config-managed/release-verification` of OpenShift 4 (openshift/cluster-update-keys): a signature by either key,
 * from either store.
 *
 * Not checked: that the stores can be reached.
 */
export function redHatReleaseTrust(engine: Engine): ReleaseTrust {
  const { certificates } = parseKeyring(concatBytes([releaseKey2, betaKey2].map((key) => decodeBase64(key))), engine);
  const keyring = makeKeyring(certificates);
  const fingerprints = keyring.certificates.map(({ fingerprint }) => fingerprint);
  // The text below can only be these two keys: a fingerprint is what people compare.
  if (fingerprints.join() !== pinned.join()) throw new InternalError("the built-in keys of Red Hat are damaged");
  return {
    source: "Red Hat's built-in trust",
    keyrings: [{ name: "redhat", keyring }],
    stores: Object.entries(stores).map(([name, url]) => ({ name, url: new URL(url) })),
    warnings: [],
  };
}

/* The certificates with their SHA-256 self-signatures, as openshift/cluster-update-keys publishes them. */

const releaseKey2: string = [
  "mQINBErgSTsBEACh2A4b0O9t+vzC9VrVtL1AKvUWi9OPCjkvR7Xd8DtJxeeMZ5eF0HtzIG58qDRybwUe89FZprB1ffuUKzdE+HcL3FbNWSSOXVjZIersdXyH3NvnLLLF0DNRB2ix3bXG",
  "9Rh/RXpFsNxDp2CEMdUvbYCzE79K1EnUTVh1L0Of023FtPSZXX0cu7Pb5DI5lX5YeoXO6RoodrIGYJsVBQWnrWw4xNTconUfNPk0EGZtEnzvH2zyPoJhXGF+Ncu9XwbalnYde10OCvSW",
  "AZ5zTCpoLMTvQjWpbCdWXJzCm6G+/hx9upke546H5IjtYm4dTIVTnc3wvDiODgBKRzOl9rEOCIgOuGtDxRxcQkjrC+xvg5Vkqn7vBUyW9pHedOU+PoF3DGOM+dqv+eNKBvh9YF9ugFAQ",
  "BkcG7viZgvGEMGGUpzNgN7XnS1gj/DPo9mZESOYnKceve2tIC87p2hqjrxOHuI7fkZYeNIcAoa83rBltFXaBDYhWAKS1PcXS1/7JzP0ky7d0L6Xbu/If5kqWQpKwUInXtySRkuraVfuK",
  "3Bpa+X1XecWi24JYHVtlNX025xx1ewVzGNCTlWn1skQN2OOoQTV4C8/qFpTW6DTWYurd4+fE0OJFJZQFbuhfXYwmRlVOgN5i77NTIJZJQfYFj38c/Iv5vZBPokO6mffrOTv3MHWVgQAR",
  "AQABtDNSZWQgSGF0LCBJbmMuIChyZWxlYXNlIGtleSAyKSA8c2VjdXJpdHlAcmVkaGF0LmNvbT6JAjYEEwEIACACGwMGCwkIBwMCBBUCCAMEFgIDAQIeAQIXgAUCSuBJPAAKCRAZni+R",
  "/UMdUfIkD/9m3HWv07uJG26R3KBexTo2FFu3rmZs+m2nfW8R3dBX+k0oAOFpgJCsNgKwU81LOPrkMN19G0+Yn/ZTCDD7cIQ7dhYuDyEX97xh4une/EhnnRuhASzR+1xYbj/HcYZIL9kb",
  "slgpebMn+AhxbUTQF/mziug3hLidR9Bzvygq0Q09E11cOZL4BU6J2HqxL+9m2F+tnLdfhL7MsAq9nbmWAOpkbGefc5SXBSq0sWfwoes3X3yDQ8B5Xqr9AxABU7oUB+wRqvY69ZCxi/Bh",
  "uuJCUxY89ZmwXfkVxeHl1tYfROUwOnJOGYSbI/o41KBK4DkIiDcT7QqvqvCyudnxZdBjL2QU6OrIJvWmKs319qSF9m3mXRStZzWtB89Pj5LZ6cdtuHvW9GO4qSoBLmAfB313pGkbgi1D",
  "E6tqCLHlA0yQ8zv99OWVcMDGmS7tVTZqfX1xQJ0N3bNORQNtikJC3G+zBCJzIeZleeDlMDQcww00yWU1oE7/To2UmykMGc7o9iggFWR2g0PIcKsA/SXdRKWPqCHG2uKHBvdRTQGupdXQ",
  "1sbV+AHwycyA/9H/mp/NUSNM2cqnBDcZ6GhlHt59zWtEveiuU5fpTbp4GVcFXbW8jStj8j8z1HI3cywZO8+YNPzqyx0JWsidXGkfzkPHyS4jTG84lfu2JG8m/nqLnRSeKpl20Q==",
].join("");

const betaKey2: string = [
  "mQINBEmkAzABEAC2/c7bP1lHQ3XScxbIk0LQWe1YOiibQBRLwf8Si5PktgtuPibTkKpZjw8p4D+fM7jD1WUzUE0X7tXg2l/eUlMM4dw6XJAQ1AmEOtlwSg7rrMtTvM0ABEtI7Km6fC6s",
  "U6RtBMdcqD1cH/6dbsfh8muznVA7UlX+PRBHVzdWzj6y8h84dBjogzcbYu9Hezqgj/lLzicqsSZPz9UdXiRTRAIhp8V30BD8uRaaa0KDDnD6IzJv3D9PxQWbFM4Z12GN9LyeZqmD7bpK",
  "zZmXG/3drvfXVisXaXp3M07t3NlBa3Dt8NFIKZ0DFRXBz5bvzxRVmdH6DtkDWXDPOt+Wdm1rZrCOrySFpBZQRpHw12eo1M1lirANIov7Z+V1Qh/aBxj5EUu32u9ZpjAPPNtQF6F/Kjao",
  "HHHmEQAuj4DLex4LY646Hv1rcv2iQFuCdvLKQGSiFBrfZH0j/IX3/0JXQlZzb3MuMFPxLXGAoAV9UP/Sw/WTmAuTzFVmG13UYFeMwrToOiqcX2VcK0aC1FCcTP2z4JW3PsWvU8rUDRUY",
  "foXovc7eg4Vn5wHt0NBYsNhYiAAf320AUIHzQZYi38JgVwuJfFu43tJZE4Vig++RQq6tsEx9Ftz3EwRRfJ9z9mEvEiieZm+vbOvMvIuimFVPSCmLH+bI649K8eZlVRWsx3EXCVb0nQAR",
  "AQABtDBSZWQgSGF0LCBJbmMuIChiZXRhIGtleSAyKSA8c2VjdXJpdHlAcmVkaGF0LmNvbT6JAjYEEwEIACACGwMGCwkIBwMCBBUCCAMEFgIDAQIeAQIXgAUCSlIz6AAKCRCTioDK8hVB",
  "6xR0D/0X3hqKdL14IykbJjOGCg9MwkvXOns4oMS3Rh/wUHmz/NOqJDuq6MCLp+sqa+zBXopEYWhNd4S3J1bUmVHIVkV9qj3BiHIrxff1YHON02UIfgT2FEuKcYKGlX3Wr9QjgOLGhNL2",
  "aq3slEWsgHKFGReFvZQFxZ9dOfk0/6j4I8H02GScfpv0NaHwjPhA3h0HtQnyaT/fnqG/On8KeOFiLGQTfWIFuROlA+JhjS4kut6OTejeF6sUGFvq8LphSuNufNybko/5pVjvcZAxYo8r",
  "5lzNWxBjeTZIH+4pGKIrOkcgJMIXf3N8walSI0nXmesIjot8WHIVzBqhpCTYNCmP03rdGY29TfgkqJOSFcxNcTcdk8FrwnKb+3a2W8wztpX6WJdx2cE9pZghHIEFKujP6BhDOcIFVdYm",
  "zHj8IpZlHNOKYZCaxEhyOQb3l2y9fanBw6vvfB9NtUOVV0Cf7VVAwpvnyASujDhFapXAn5LJma5ENiiexIen0m3mQlfBk/dQ+51Z5MAH3FpZpcdtwgutpifDX7CCv9bqiiwkSLtKq6IB",
  "UdojJzxhfgslGFJw0DoWWDcIBzxYXIfhj5mFRMEC7h6Xsdpil0T1tjSVHTAmxcUibr7nb4tfFi1CHJkCODMxPoZS+hat0140wJejimT7FQ1CBWNIW4cYuR/GDjSiHxLlHg==",
].join("");
