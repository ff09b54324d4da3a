// A front end of the tests with the library @simplewebauthn/browser. The options of the daemon go to
// the library as they are, and what the library returns goes to the daemon as it is.

// Sends a POST. Returns the JSON of the response, even if it is a problem.
async function post(path, body, token) {
  const headers = { 'content-type': 'application/json' };
  if (token) headers.authorization = `Bearer ${token}`;
  return (await fetch(path, { method: 'POST', headers, body: JSON.stringify(body) })).json();
}

// Creates a passkey. If the library refuses, it returns the code of the library's error.
async function add(token) {
  const { challenge, publicKey } = await post('/api/me/passkeys/options', {}, token);
  let credential;
  try {
    credential = await SimpleWebAuthnBrowser.startRegistration({ optionsJSON: publicKey });
  } catch (error) {
    return { libraryCode: error.code ?? String(error) };
  }
  return post('/api/me/passkeys', { challenge, name: 'Phone', credential }, token);
}

// Proves the user. `options` is the response of one of the three options routes.
async function prove({ challenge, publicKey }, how = {}) {
  const start = { optionsJSON: publicKey, ...how };
  return { challenge, credential: await SimpleWebAuthnBrowser.startAuthentication(start) };
}

async function withPasskey(how) {
  const options = await post('/api/login/passkey/options', {});
  return post('/api/login/passkey', await prove(options, how));
}

async function withPassword(account) {
  const { challenge } = await post('/api/login', account);
  const options = await post('/api/login/passkey/options', { challenge });
  return post('/api/login/factor', { ...await prove(options), method: 'passkey' });
}

async function stepUp(token) {
  const options = await post('/api/step-up/options', {}, token);
  return post('/api/step-up', { ...await prove(options), method: 'passkey' }, token);
}

// Logs in, sends the same body again, and sends the same response to a new challenge.
async function sendAgain() {
  const used = await prove(await post('/api/login/passkey/options', {}));
  const first = await post('/api/login/passkey', used);
  const again = await post('/api/login/passkey', used);
  const { challenge } = await post('/api/login/passkey/options', {});
  return [first, again, await post('/api/login/passkey', { ...used, challenge })];
}
