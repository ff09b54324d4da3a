// Optional functions of the pages: copy buttons, "Show the password", and a mailbox that updates
// itself. Every page works without this file. Elements that need it are hidden until it runs.
(() => {
  "use strict";

  // The script of a captcha vendor runs after this one. The URL of the page has perhaps a link's
  // token, which the vendor need not see.
  if (document.querySelector("form[data-captcha-vendor]")) {
    history.replaceState(null, "", location.pathname);
  }

  // Announces changes to users of screen readers.
  const announcer = document.createElement("p");
  announcer.className = "unseen";
  announcer.setAttribute("role", "status");
  document.body.append(announcer);
  const announce = (words) => { announcer.textContent = words; };

  function wireCopy(button) {
    const source = document.getElementById(button.dataset.copy);
    if (!source) return;
    const label = button.firstChild;
    const words = label.textContent;
    let back;
    button.hidden = false;
    button.addEventListener("click", async () => {
      let done = "Copied";
      try {
        await navigator.clipboard.writeText(source.textContent);
      } catch {
        // Without TLS or permission, a script cannot use the clipboard. So the text is selected,
        // and the user can copy it.
        getSelection().selectAllChildren(source);
        done = "Selected";
      }
      label.textContent = done;
      announce(done === "Copied" ? "Copied." : "Selected. Copy it with your keyboard.");
      clearTimeout(back);
      back = setTimeout(() => { label.textContent = words; announce(""); }, 2000);
    });
  }

  function wireReveal(button) {
    const input = document.getElementById(button.dataset.reveal);
    if (!input) return;
    const show = (shown) => {
      input.type = shown ? "text" : "password";
      button.setAttribute("aria-pressed", String(shown));
    };
    button.hidden = false;
    button.addEventListener("click", () => show(input.type === "password"));
    // Browsers and password managers store a password only from a password field.
    if (input.form) input.form.addEventListener("submit", () => show(false));
  }

  // A form is sent once, also if the user clicks twice. This listener runs after those of the form
  // itself, which perhaps stop the event and send the form later.
  const SEND_AGAIN_MS = 10_000;
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented) return;
    if ("sent" in form.dataset) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "";
    const buttons = form.querySelectorAll('button[type="submit"]');
    const lock = (locked) => buttons.forEach((button) => { button.disabled = locked; });
    const unlock = () => { delete form.dataset.sent; lock(false); };
    // The browser reads the values of the form after this event, also that of the button.
    setTimeout(() => lock(true));
    setTimeout(unlock, SEND_AGAIN_MS);
    // The user comes back to the page from the browser's history.
    addEventListener("pageshow", unlock, { once: true });
  });

  const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

  const visible = () => new Promise((resolve) => {
    if (!document.hidden) return resolve();
    document.addEventListener("visibilitychange", resolve, { once: true });
  });

  // Waits for new mails with the JSON long-poll. Then loads the page and takes the new list from
  // the page, so that only the server renders mails.
  async function watchMailbox(list) {
    const status = document.querySelector("[data-mailbox-status]");
    for (;;) {
      await visible();
      const newest = list.dataset.newest;
      const after = newest ? `&after=${encodeURIComponent(newest)}` : "";
      const began = Date.now();
      try {
        const answer = await fetch(`/dev/mailbox/messages?wait=25s${after}`, { headers: { accept: "application/json" } });
        if (answer.status === 401) {
          status.textContent = "The mailbox is locked again. Reload this page to open it.";
          return;
        }
        if (!answer.ok) throw new Error(String(answer.status));
        const { items = [] } = await answer.json();
        if (items.length > 0) {
          const page = await fetch(location.href);
          const fresh = new DOMParser()
            .parseFromString(await page.text(), "text/html")
            .querySelector("[data-mailbox]");
          if (!page.ok || !fresh) throw new Error(String(page.status));
          if (fresh.dataset.newest !== newest) {
            list.dataset.newest = fresh.dataset.newest;
            // The list is replaced, so the same link in the new list gets the focus again.
            const focused = list.contains(document.activeElement) && document.activeElement.getAttribute("href");
            list.replaceChildren(...fresh.childNodes);
            if (focused) list.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
            status.textContent = items.length === 1 ? "1 new mail." : `${items.length} new mails.`;
          }
        }
      } catch {
        status.textContent = "Lost the connection. Connecting again.";
        await pause(5000);
        continue;
      }
      if (status.textContent.startsWith("Lost")) status.textContent = "Connected again.";
      // If responses come at once, this pause prevents a flood of requests.
      if (Date.now() - began < 1000) await pause(1000);
    }
  }

  document.querySelectorAll("[data-copy]").forEach(wireCopy);
  document.querySelectorAll("[data-reveal]").forEach(wireReveal);
  const list = document.querySelector("[data-mailbox]");
  if (list) watchMailbox(list);
})();
