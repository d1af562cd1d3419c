// Passkeys: makes one, or has one answer a challenge, by the server's options. In them, and in what is posted to it, bytes
// are base64url. Whether somebody is really there, with the finger, face or PIN of the phone's owner, is always asked.

const toText = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

const toBytes = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (character) => character.charCodeAt(0));

// Lists of passkeys, by their ids.
const named = (list = []) => list.map((item) => ({ ...item, type: "public-key", id: toBytes(item.id) }));

// Whether this phone can keep a passkey by itself. Another phone or a key may be able to, but whoever has neither would only
// be puzzled by the offer.
export async function canUse() {
  try {
    return await PublicKeyCredential.isUserVerifyingPlatformAuthenticatorAvailable();
  } catch {
    return false; // An old browser, or a page without https.
  }
}

// Makes a passkey: what to post of it, or null if its owner thought better of it.
// Throws InvalidStateError where one of `excludeCredentials` is already.
// options: {challenge, rp: {id, name}, user: {id, name, displayName}, pubKeyCredParams, timeout, excludeCredentials: [{id}]}
export async function create(options) {
  const credential = await unlessCancelled(() => navigator.credentials.create({
    publicKey: {
      ...options,
      challenge: toBytes(options.challenge),
      user: { ...options.user, id: toBytes(options.user.id) },
      excludeCredentials: named(options.excludeCredentials),
      authenticatorSelection: { residentKey: "required", requireResidentKey: true, userVerification: "required" },
      attestation: "none",
    },
  }));
  if (!credential) return null;
  const { response } = credential;
  const publicKey = response.getPublicKey();
  // Browsers give none only of kinds that nobody offered.
  if (!publicKey) throw new TypeError("no public key");
  return {
    id: credential.id,
    clientDataJSON: toText(response.clientDataJSON),
    authenticatorData: toText(response.getAuthenticatorData()),
    publicKey: toText(publicKey),
    publicKeyAlgorithm: response.getPublicKeyAlgorithm(),
    transports: response.getTransports?.() ?? [],
  };
}

// Has a passkey answer: what to post, or null if its owner thought better of it. Without a list of passkeys, whoever has one
// chooses, so nobody need type who they are.
// options: {challenge, rpId, timeout, allowCredentials: [{id}]}
export async function get(options) {
  const credential = await unlessCancelled(() => navigator.credentials.get({
    publicKey: {
      ...options,
      challenge: toBytes(options.challenge),
      allowCredentials: named(options.allowCredentials),
      userVerification: "required",
    },
  }));
  if (!credential) return null;
  const { response } = credential;
  return {
    id: credential.id,
    clientDataJSON: toText(response.clientDataJSON),
    authenticatorData: toText(response.authenticatorData),
    signature: toText(response.signature),
    // Empty is what some say for none.
    userHandle: response.userHandle?.byteLength ? toText(response.userHandle) : null,
  };
}

// A person who closes the question, or lets it run out, did nothing wrong; browsers do not say which it was.
async function unlessCancelled(ask) {
  try {
    return await ask();
  } catch (error) {
    if (["NotAllowedError", "AbortError"].includes(error.name)) return null;
    throw error;
  }
}
