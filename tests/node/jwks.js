// Verifies access tokens with `jose` as a service would, on orders from standard input.
//
// An order is a line of JSON: keys (the URL of the key set), issuer, audience, token. The answer is a
// line of JSON: {"claims": …, "header": …} or {"refused": the error's code}.

import { createInterface } from "node:readline";
import { webcrypto } from "node:crypto";

// Older versions of Node.js have it under this name alone.
globalThis.crypto ??= webcrypto;
const { createRemoteJWKSet, jwtVerify } = await import("jose");

async function verify({ keys, issuer, audience, token }) {
  try {
    const set = createRemoteJWKSet(new URL(keys));
    const { payload, protectedHeader } = await jwtVerify(token, set, { issuer, audience, typ: "at+jwt" });
    return { claims: payload, header: protectedHeader };
  } catch (error) {
    return { refused: error.code ?? String(error) };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await verify(JSON.parse(line))));
}
