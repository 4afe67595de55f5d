// Signatures that the person makes: with a passkey (WebAuthn Level 3), or with an Ed25519 key of this browser (WebCrypto).
// What is signed is the receipt as the site offered it, byte for byte; the person's private key never leaves the device.

import { fromBase64url, toBase64url } from "./base64url.js";

const encoder = new TextEncoder();

export function canUsePasskeys() {
  return typeof PublicKeyCredential === "function";
}

// Makes a passkey, and returns what the site needs of it. `options` are PublicKeyCredentialCreationOptions as JSON.
export async function makePasskey(options) {
  const publicKey = {
    ...options,
    challenge: fromBase64url(options.challenge),
    user: { ...options.user, id: fromBase64url(options.user.id) },
    excludeCredentials: (options.excludeCredentials || []).map((one) => ({ ...one, id: fromBase64url(one.id) })),
    extensions: { prf: {} },
  };
  const made = await navigator.credentials.create({ publicKey });
  return {
    id: made.id,
    rawId: toBase64url(made.rawId),
    type: made.type,
    response: {
      attestationObject: toBase64url(made.response.attestationObject),
      clientDataJSON: toBase64url(made.response.clientDataJSON),
      transports: made.response.getTransports?.() || [],
    },
    clientExtensionResults: {},
  };
}

// Signs an offer with a passkey. Returns the token, and for each salt the output of the PRF extension, if the
// authenticator has it: `prf` of the first, `before` of the second.
export async function signWithPasskey(offer, credentialId, first, second) {
  const publicKey = {
    challenge: fromBase64url(offer.challenge),
    rpId: offer.relying_party_id,
    userVerification: "required",
    allowCredentials: credentialId ? [{ type: "public-key", id: fromBase64url(credentialId) }] : [],
    extensions: prfOf(first, second),
  };
  const made = await navigator.credentials.get({ publicKey });
  const assertion = {
    authenticator_data: toBase64url(made.response.authenticatorData),
    client_data_json: toBase64url(made.response.clientDataJSON),
    signature: toBase64url(made.response.signature),
  };
  const header = JSON.stringify({ alg: offer.algorithm, typ: "volens-receipt+webauthn" });
  return {
    signed: [header, offer.document, JSON.stringify(assertion)].map((one) => toBase64url(encoder.encode(one))).join("."),
    ...computedBy(made),
  };
}

// Asks a passkey for the output of the PRF extension alone. Nothing is signed: the challenge goes nowhere.
export async function prfOfPasskey(relyingPartyId, salt) {
  const publicKey = {
    challenge: crypto.getRandomValues(new Uint8Array(32)),
    rpId: relyingPartyId,
    userVerification: "required",
    extensions: prfOf(salt),
  };
  return computedBy(await navigator.credentials.get({ publicKey })).prf;
}

const prfOf = (first, second) => (first ? { prf: { eval: second ? { first, second } : { first } } } : {});

function computedBy(credential) {
  const { first, second } = credential.getClientExtensionResults?.().prf?.results || {};
  return { prf: first ? new Uint8Array(first) : null, before: second ? new Uint8Array(second) : null };
}

// Makes an Ed25519 key that this browser keeps and cannot give away. Returns its public half as a JWK.
export async function makeBrowserKey(name) {
  const pair = await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]);
  const { kty, crv, x } = await crypto.subtle.exportKey("jwk", pair.publicKey);
  await keep(name, pair.privateKey);
  return { kty, crv, x };
}

// Signs an offer with the key that this browser keeps under a name. Returns null if it keeps none.
export async function signWithBrowserKey(offer, name) {
  const key = await kept(name);
  return key ? signedBy(key, offer) : null;
}

// Signs an offer with the key in a file (PKCS#8 as PEM, as `volens consent give --new-key` writes it). The key is neither
// kept nor sent. Returns null if there is no such key in the file.
export async function signWithKeyFile(offer, text) {
  const [, inside] = text.match(/-----BEGIN PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END PRIVATE KEY-----/) || [];
  if (!inside) return null;
  try {
    const der = Uint8Array.from(atob(inside.replace(/\s/g, "")), (one) => one.charCodeAt(0));
    return await signedBy(await crypto.subtle.importKey("pkcs8", der, "Ed25519", false, ["sign"]), offer);
  } catch {
    return null;
  }
}

async function signedBy(key, offer) {
  const signature = await crypto.subtle.sign("Ed25519", key, encoder.encode(offer.signing_input));
  return { signed: `${offer.signing_input}.${toBase64url(signature)}`, prf: null, before: null };
}

export async function forgetBrowserKey(name) {
  await inStore("readwrite", (store) => store.delete(name));
}

const keep = (name, key) => inStore("readwrite", (store) => store.put(key, name));
const kept = (name) => inStore("readonly", (store) => store.get(name));

function inStore(mode, act) {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open("volens", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("keys");
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const request = act(opening.result.transaction("keys", mode).objectStore("keys"));
      request.onerror = () => reject(request.error);
      request.onsuccess = () => {
        opening.result.close();
        resolve(request.result);
      };
    };
  });
}
