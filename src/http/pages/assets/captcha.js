// The built-in captcha: ALTCHA's proof of work, version 2. It does not track users and asks them no
// question. The browser computes for about a second. It looks for a counter for which
// PBKDF2(nonce || counter as 4 bytes big-endian, salt, cost) starts with a given prefix.
(() => {
  "use strict";

  const COUNTER_MAX = 0xffffffff;

  const fromHex = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
  const toHex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

  // Solves a challenge of GET /api/captcha and returns {counter, derivedKey, time}. The function
  // does not use the document, so it runs wherever WebCrypto is available.
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

    // Each lane checks a part of the counters. WebCrypto runs the lanes outside the main thread.
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

  // The value of `captcha` for the server: base64 of the JSON {challenge, solution}.
  const payload = (challenge, solution) => btoa(JSON.stringify({ challenge, solution }));

  if (typeof module !== "undefined") module.exports = { solve, payload };
  if (typeof document === "undefined") return;

  // A solution that is older than this is computed again, because a challenge is valid for ten
  // minutes.
  const FRESH_MS = 8 * 60 * 1000;
  const LANES_MAX = 4;

  function wire(form) {
    const input = form.elements.namedItem("captcha");
    const status = form.querySelector("[data-captcha-status]");
    let work = null;
    let ready = false;

    async function run() {
      status.textContent = "Checking that you are not a robot. This takes one or two seconds.";
      form.setAttribute("aria-busy", "true");
      try {
        if (!globalThis.crypto?.subtle) throw new Error("no WebCrypto without https");
        const answer = await fetch("/api/captcha", { headers: { accept: "application/json" } });
        if (!answer.ok) throw new Error(String(answer.status));
        const challenge = await answer.json();
        const solution = await solve(challenge, Math.min(LANES_MAX, navigator.hardwareConcurrency || 1));
        input.value = payload(challenge, solution);
        ready = true;
        status.textContent = "Checked: you are not a robot.";
        setTimeout(() => { ready = false; work = null; input.value = ""; status.textContent = ""; }, FRESH_MS);
      } catch {
        work = null;
        status.textContent = globalThis.crypto?.subtle
          ? "The robot check did not work. Wait a moment and press the button again."
          : "The robot check needs a secure connection. Open this page over https.";
      } finally {
        form.removeAttribute("aria-busy");
      }
    }
    const begin = () => { work ??= run(); return work; };

    // The work begins when the user enters the form and not when the page loads, so that a user who
    // only reads the page does not lose battery charge.
    form.addEventListener("focusin", begin, { once: true });
    form.addEventListener("submit", async (event) => {
      if (ready) return;
      event.preventDefault();
      await begin();
      if (ready) form.requestSubmit(event.submitter);
    });
  }

  // Requests a vendor's token only when the form is sent, because a token is valid for only two
  // minutes.
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
    // Deferred scripts run in order. So at this point the vendor's script has already run, or it
    // did not load.
    if (globalThis[form.dataset.captchaVendor]) {
      if (form.dataset.captchaKey) execute(form);
    } else if ("captchaFallback" in form.dataset) {
      wire(form);
    } else {
      const status = form.querySelector("[data-captcha-status]");
      status.textContent = "The robot check did not load. Allow its script, or try again later.";
    }
  });
})();
