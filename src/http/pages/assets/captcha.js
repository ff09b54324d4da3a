// The built-in captcha: ALTCHA's proof of work, version 2. Nobody is tracked and nothing is asked; the browser works for
// about a second. The key to find is PBKDF2(nonce || counter as 4 bytes big-endian, salt, cost) that starts with a prefix.
(() => {
  "use strict";

  const COUNTER_MAX = 0xffffffff;

  const fromHex = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  const toHex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

  // A challenge of GET /api/captcha in, {counter, derivedKey, time} out. No document needed: it runs anywhere with WebCrypto.
  async function solve(challenge, lanes = 1) {
    const { algorithm, cost, keyLength, keyPrefix, nonce, salt } = challenge.parameters;
    const hash = { "PBKDF2/SHA-256": "SHA-256", "PBKDF2/SHA-384": "SHA-384", "PBKDF2/SHA-512": "SHA-512" }[algorithm];
    if (!hash) throw new Error(`unknown algorithm ${algorithm}`);
    const { subtle } = globalThis.crypto;
    const prefix = keyPrefix.toLowerCase();
    const start = fromHex(nonce);
    const kdf = { name: "PBKDF2", hash, salt: fromHex(salt), iterations: cost };
    const began = Date.now();
    let found = null;

    // The lanes share the counters; WebCrypto works each off the main thread.
    async function search(first) {
      const password = new Uint8Array(start.length + 4);
      password.set(start);
      const view = new DataView(password.buffer);
      for (let counter = first; found === null && counter <= COUNTER_MAX; counter += lanes) {
        view.setUint32(start.length, counter);
        const key = await subtle.importKey("raw", password, "PBKDF2", false, ["deriveBits"]);
        const derivedKey = toHex(new Uint8Array(await subtle.deriveBits(kdf, key, keyLength * 8)));
        if (found === null && derivedKey.startsWith(prefix)) {
          found = { counter, derivedKey, time: Date.now() - began };
        }
      }
    }
    await Promise.all(Array.from({ length: lanes }, (_, lane) => search(lane)));
    if (found === null) throw new Error("no counter fits");
    return found;
  }

  // What the server takes as `captcha`: base64 of the JSON {challenge, solution}.
  const payload = (challenge, solution) => btoa(JSON.stringify({ challenge, solution }));

  if (typeof module !== "undefined") module.exports = { solve, payload };
  if (typeof document === "undefined") return;

  // Past this age a solution is asked for anew: challenges are good for ten minutes.
  const FRESH_MS = 8 * 60 * 1000;
  const LANES_MAX = 4;

  function wire(form) {
    const input = form.elements.namedItem("captcha");
    const status = form.querySelector("[data-captcha-status]");
    let work = null;
    let ready = false;

    async function run() {
      status.textContent = "Checking that this is not a robot. It takes a second or two.";
      form.setAttribute("aria-busy", "true");
      try {
        if (!globalThis.crypto?.subtle) throw new Error("no WebCrypto without https");
        const answer = await fetch("/api/captcha", { headers: { accept: "application/json" } });
        if (!answer.ok) throw new Error(String(answer.status));
        const challenge = await answer.json();
        const solution = await solve(challenge, Math.min(LANES_MAX, navigator.hardwareConcurrency || 1));
        input.value = payload(challenge, solution);
        ready = true;
        status.textContent = "Checked: this is not a robot.";
        setTimeout(() => { ready = false; work = null; input.value = ""; status.textContent = ""; }, FRESH_MS);
      } catch {
        work = null;
        status.textContent = globalThis.crypto?.subtle
          ? "The check did not work. Wait a little and press the button again."
          : "The check needs a secure connection (https). Open this page over https.";
      } finally {
        form.removeAttribute("aria-busy");
      }
    }
    const begin = () => { work ??= run(); return work; };

    // Not on load: who only reads the page spends no battery.
    form.addEventListener("focusin", begin, { once: true });
    form.addEventListener("submit", async (event) => {
      if (ready) return;
      event.preventDefault();
      await begin();
      if (ready) form.requestSubmit(event.submitter);
    });
  }

  // A vendor's token that is only asked for when the form is sent: it lives for two minutes.
  function execute(form) {
    const input = form.elements.namedItem("captcha");
    const { captchaKey, captchaAction } = form.dataset;
    form.addEventListener("submit", (event) => {
      if (input.value) return;
      event.preventDefault();
      const vendor = globalThis[form.dataset.captchaVendor];
      vendor.ready(() => vendor.execute(captchaKey, { action: captchaAction }).then((token) => {
        input.value = token;
        form.requestSubmit(event.submitter);
      }));
    });
  }

  document.querySelectorAll("form[data-captcha]").forEach(wire);
  document.querySelectorAll("form[data-captcha-vendor]").forEach((form) => {
    // Deferred scripts run in their order: the vendor's has run before this one, or did not load.
    if (globalThis[form.dataset.captchaVendor]) {
      if (form.dataset.captchaKey) execute(form);
    } else if ("captchaFallback" in form.dataset) {
      wire(form);
    } else {
      const status = form.querySelector("[data-captcha-status]");
      status.textContent = "The check for robots did not load. Allow its script, or try again later.";
    }
  });
})();
