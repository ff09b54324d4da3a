// A resource server of one team. It serves `GET /reports` to vaultTokens of this team with the
// scope `vault:read`. For `GET /salaries` the user must also have proved a second factor within 15
// minutes. It needs Node 18 or newer.
//
//     node server.mjs ISSUER TEAM [PORT]

import { createPublicKey, verify } from "node:crypto";
import { createServer } from "node:http";

const [issuer, team, port = "8000"] = process.argv.slice(2);

/** The number of seconds by which the clocks of latchkey and this server may differ. */
const leeway = 60;

/** The number of seconds for which a second factor counts as fresh. */
const maxAge = 900;

/** An error response of RFC 6750 §3: a status, and the value of WWW-Authenticate. */
class Refused extends Error {
  constructor(status, challenge) {
    super(challenge);
    this.status = status;
    this.challenge = challenge;
  }
}
const invalid = () => new Refused(401, 'Bearer error="invalid_token"');

/**
 * The public keys of the issuer. They are fetched again when they are old, or when a token names an
 * unknown key.
 */
const keys = {
  byKid: new Map(),
  fetchedAt: -Infinity,
  fetching: undefined,

  async of(kid) {
    const age = performance.now() - this.fetchedAt;
    // latchkey allows clients to cache its keys for five minutes. Any client can name an unknown
    // key, so an unknown key starts a fetch only if the keys are older than ten seconds.
    if (age > 300_000 || (!this.byKid.has(kid) && age > 10_000)) {
      this.fetching ??= this.fetch().finally(() => (this.fetching = undefined));
      // If the fetch fails, the known keys stay in use. Without any keys the response is 500, never
      // 401.
      await this.fetching.catch((error) => {
        if (this.byKid.size === 0) throw error;
      });
    }
    return this.byKid.get(kid);
  },

  async fetch() {
    const answer = await fetch(`${issuer}/.well-known/jwks.json`, { signal: AbortSignal.timeout(5000) });
    if (!answer.ok) throw new Error(`the issuer responded with status ${answer.status}`);
    const { keys } = await answer.json();
    const ours = keys.filter((key) => key.kty === "EC" && key.crv === "P-256");
    this.byKid = new Map(ours.map((key) => [key.kid, createPublicKey({ key, format: "jwk" })]));
    this.fetchedAt = performance.now();
  },
};

function parsed(part) {
  try {
    return JSON.parse(Buffer.from(part, "base64url"));
  } catch {
    throw invalid();
  }
}

/** Returns the claims of a valid token. */
async function claimsOf(token) {
  const parts = token.split(".");
  if (parts.length !== 3) throw invalid();
  const header = parsed(parts[0]);
  // This server chooses the algorithm, not the token (RFC 8725 §3.1).
  if (header?.alg !== "ES256" || header.typ !== "at+jwt" || header.crit !== undefined) throw invalid();
  const key = await keys.of(header.kid);
  if (!key) throw invalid();
  const signed = Buffer.from(`${parts[0]}.${parts[1]}`);
  const signature = Buffer.from(parts[2], "base64url");
  if (!verify("sha256", signed, { key, dsaEncoding: "ieee-p1363" }, signature)) throw invalid();
  const claims = parsed(parts[1]);
  const now = Date.now() / 1000;
  const isOurs = claims.iss === issuer && claims.aud === "vault";
  if (!isOurs || claims.exp <= now - leeway || claims.nbf > now + leeway) throw invalid();
  return claims;
}

/** Returns the claims if the token is of this team and has the scope. */
async function guard(authorization, scope) {
  const [, token] = /^Bearer +(\S+)$/i.exec(authorization ?? "") ?? [];
  if (!token) throw new Refused(401, "Bearer");
  const claims = await claimsOf(token);
  // The tokens of all teams have the same `aud` and are signed with the same keys, so this server
  // must check the team.
  if (claims.tid !== team) throw new Refused(403, 'Bearer error="insufficient_scope"');
  if (!claims.scope.split(" ").includes(scope)) {
    throw new Refused(403, `Bearer error="insufficient_scope", scope="${scope}"`);
  }
  return claims;
}

/**
 * Refuses a token without a fresh second factor (RFC 9470 §3). Then the client sends a code to
 * `POST /api/step-up` of latchkey, and repeats its request with the new vaultToken.
 */
function requireSecondFactor(claims) {
  const age = Date.now() / 1000 - (claims.auth_time ?? 0);
  if (claims.acr !== "aal2" || age > maxAge + leeway) {
    const needed = `acr_values="aal2", max_age="${maxAge}"`;
    throw new Refused(401, `Bearer error="insufficient_user_authentication", ${needed}`);
  }
}

createServer(async (request, response) => {
  try {
    if (!["/reports", "/salaries"].includes(request.url)) return response.writeHead(404).end();
    const claims = await guard(request.headers.authorization, "vault:read");
    if (request.url === "/salaries") requireSecondFactor(claims);
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ subject: claims.sub, project: claims.pid }));
  } catch (error) {
    if (!(error instanceof Refused)) return response.writeHead(500).end();
    response.writeHead(error.status, { "www-authenticate": error.challenge }).end();
  }
}).listen(Number(port), "127.0.0.1");
