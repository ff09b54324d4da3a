// Sends requests from /docs. The page loads this file only in development. Without this file, the
// forms stay hidden.
(() => {
  "use strict";

  // The newest options of a passkey ceremony.
  let ceremony = null;

  // Tokens, the challenge of a login and the options of a passkey are stored only in this page. A
  // reload deletes them.
  function remember(answer) {
    if (answer === null || typeof answer !== "object") return;
    if (answer.publicKey) ceremony = answer;
    document.querySelectorAll("[data-scheme]").forEach((input) => {
      const token = answer[input.name];
      if (typeof token === "string") input.value = token;
    });
    if (typeof answer.challenge !== "string") return;
    document.querySelectorAll('[data-media="application/json"]').forEach((body) => {
      body.value = withChallenge(body.value, answer.challenge);
    });
  }

  // Replaces the challenge in a body that has one. Any other text stays as the user wrote it.
  function withChallenge(text, challenge) {
    try {
      const body = JSON.parse(text);
      return Object.hasOwn(body, "challenge") ? JSON.stringify({ ...body, challenge }, null, 2) : text;
    } catch {
      return text;
    }
  }

  function address(box, form) {
    const query = new URLSearchParams();
    let path = box.dataset.path;
    form.querySelectorAll("[data-in]").forEach((input) => {
      if (input.dataset.in === "path") path = path.replace(`{${input.name}}`, encodeURIComponent(input.value));
      if (input.dataset.in === "query" && input.value) query.append(input.name, input.value);
    });
    return query.size ? `${path}?${query}` : path;
  }

  function headers(form) {
    const all = new Headers({ accept: "application/json" });
    form.querySelectorAll('[data-in="header"]').forEach((input) => {
      if (input.value) all.set(input.name, input.value);
    });
    const credential = form.querySelector("[data-scheme]");
    if (credential?.value) {
      const basic = credential.dataset.scheme === "basic";
      all.set("authorization", basic ? `Basic ${btoa(credential.value)}` : `Bearer ${credential.value}`);
    }
    const body = form.querySelector("[data-media]");
    if (body) all.set("content-type", body.dataset.media);
    return all;
  }

  function readable(text) {
    try {
      const value = JSON.parse(text);
      remember(value);
      return JSON.stringify(value, null, 2);
    } catch {
      return text;
    }
  }

  // Runs the ceremony, and writes the response of the authenticator into the body.
  async function fill(box, form) {
    const status = box.querySelector("[data-status]");
    const field = form.querySelector("[data-media]");
    if (!ceremony) {
      status.textContent = "Send the request for the options first. Its path ends with /options.";
      return;
    }
    const { challenge, publicKey } = ceremony;
    status.textContent = "Waiting for the authenticator…";
    try {
      const credential = publicKey.rp
        ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(publicKey) })
        : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(publicKey) });
      const body = { ...JSON.parse(field.value), challenge, credential: credential.toJSON() };
      if ("method" in body) {
        body.method = "passkey";
        delete body.password;
        delete body.code;
      }
      field.value = JSON.stringify(body, null, 2);
      status.textContent = "The body has the response of the passkey. Send it.";
    } catch (error) {
      const domain = publicKey.rp?.id ?? publicKey.rpId;
      status.textContent = error.name === "SecurityError"
        ? `Passkeys work only on pages of ${domain}. Open this page there.`
        : `No passkey: ${error.message}`;
    }
  }

  async function send(box, form) {
    const status = box.querySelector("[data-status]");
    const shown = box.querySelector("[data-answer]");
    shown.hidden = true;
    status.textContent = "Sending…";
    try {
      const answer = await fetch(address(box, form), {
        method: box.dataset.method,
        headers: headers(form),
        body: form.querySelector("[data-media]")?.value,
        cache: "no-store",
      });
      const text = readable(await answer.text());
      const wait = answer.headers.get("retry-after");
      status.textContent = `Response: ${answer.status} ${answer.statusText}${wait ? `, try again in ${wait} s` : ""}`;
      shown.textContent = text;
      shown.hidden = text === "";
    } catch {
      status.textContent = "No response. Check that the daemon is running and that the header values are valid.";
    }
  }

  document.querySelectorAll("[data-try]").forEach((box) => {
    const form = box.querySelector("form");
    box.hidden = false;
    form.querySelector("[data-ceremony]")?.addEventListener("click", () => fill(box, form));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      send(box, form);
    });
  });
})();
