// The button "Use a passkey". The form is hidden until the browser is known to support passkeys. The
// options of the ceremony are in the form, so the page needs no request before the one that it posts.
(() => {
  "use strict";

  if (!globalThis.PublicKeyCredential?.parseRequestOptionsFromJSON) return;

  function wire(form) {
    const field = form.elements.namedItem("passkey");
    const refused = form.querySelector("[data-passkey-refused]");
    form.hidden = false;
    form.addEventListener("submit", async (event) => {
      if (field.value) return;
      event.preventDefault();
      refused.hidden = true;
      try {
        const options = JSON.parse(form.dataset.passkey);
        const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
        const credential = await navigator.credentials.get({ publicKey });
        field.value = JSON.stringify(credential.toJSON());
      } catch {
        // The user has cancelled, or no authenticator has a passkey of this account.
        refused.hidden = false;
        return;
      }
      form.requestSubmit(event.submitter);
    });
  }

  document.querySelectorAll("form[data-passkey]").forEach(wire);
  document.querySelectorAll("[data-passkey-absent]").forEach((words) => words.remove());
})();
