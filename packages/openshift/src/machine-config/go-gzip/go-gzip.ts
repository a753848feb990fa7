/**
 * gzip with the bytes that Go's compress/gzip writes at its best level, which is what Butane puts into a MachineConfig. zlib, and so Node, writes other bytes for the
 * same content, and not of the same length: whether Butane compresses a file at all depends on that length.
 */
/*!
 * This folder follows Go's compress/flate, whose licence is:
 *
 * Copyright 2009 The Go Authors.
 *
 * Redistribution and use in source and binary forms, with or without
 * modification, are permitted provided that the following conditions are
 * met:
 *
 *    * Redistributions of source code must retain the above copyright
 * notice, this list of conditions and the following disclaimer.
 *    * Redistributions in binary form must reproduce the above
 * copyright notice, this list of conditions and the following disclaimer
 * in the documentation and/or other materials provided with the
 * distribution.
 *    * Neither the name of Google LLC nor the names of its
 * contributors may be used to endorse or promote products derived from
 * this software without specific prior written permission.
 *
 * THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS
 * "AS IS" AND ANY EXPRESS OR IMPLIED WARRANTIES, INCLUDING, BUT NOT
 * LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS FOR
 * A PARTICULAR PURPOSE ARE DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT
 * OWNER OR CONTRIBUTORS BE LIABLE FOR ANY DIRECT, INDIRECT, INCIDENTAL,
 * SPECIAL, EXEMPLARY, OR CONSEQUENTIAL DAMAGES (INCLUDING, BUT NOT
 * LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR SERVICES; LOSS OF USE,
 * DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER CAUSED AND ON ANY
 * THEORY OF LIABILITY, WHETHER IN CONTRACT, STRICT LIABILITY, OR TORT
 * (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE USE
 * OF THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.
 */
import { crc32 } from "node:zlib";
import { concatBytes } from "@signet/core";
import { deflateAsGo } from "./match-search.ts";

/** RFC 1952, 2.3: no time, "slowest algorithm", system unknown. */
const HEAD: readonly number[] = [0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 0x02, 0xff];

/** Whole content in, whole gzip member out. Reading it again is a matter for zlib: the format is the same. */
export function gzipAsGo(content: Uint8Array): Uint8Array {
  const tail = new DataView(new ArrayBuffer(8));
  tail.setUint32(0, crc32(content), true);
  tail.setUint32(4, content.length, true);
  return concatBytes([Uint8Array.from(HEAD), deflateAsGo(content), new Uint8Array(tail.buffer)]);
}
