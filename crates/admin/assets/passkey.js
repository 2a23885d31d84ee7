// Passkeys (W3C WebAuthn): a form that is marked is sent with what the browser made or showed. The
// question stands in the form, or is fetched when the button is pressed. Without this nothing of
// it is shown, and codes of a telephone stay.
"use strict";
(() => {
  const octets = (text) => {
    const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    return Uint8Array.from(plain, (one) => one.charCodeAt(0));
  };
  const text = (buffer) => {
    const plain = String.fromCharCode(...new Uint8Array(buffer));
    return btoa(plain).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  };
  const named = (list) => (list || []).map((one) => ({ ...one, id: octets(one.id) }));

  const make = async (options) => {
    const made = await navigator.credentials.create({
      publicKey: {
        ...options,
        challenge: octets(options.challenge),
        user: { ...options.user, id: octets(options.user.id) },
        excludeCredentials: named(options.excludeCredentials),
      },
    });
    return {
      ...common(made),
      response: {
        clientDataJSON: text(made.response.clientDataJSON),
        attestationObject: text(made.response.attestationObject),
        transports: made.response.getTransports ? made.response.getTransports() : [],
      },
    };
  };

  const show = async (options) => {
    const shown = await navigator.credentials.get({
      publicKey: {
        ...options,
        challenge: octets(options.challenge),
        allowCredentials: named(options.allowCredentials),
      },
    });
    return {
      ...common(shown),
      response: {
        clientDataJSON: text(shown.response.clientDataJSON),
        authenticatorData: text(shown.response.authenticatorData),
        signature: text(shown.response.signature),
        userHandle: text(shown.response.userHandle),
      },
    };
  };

  const common = (one) => ({
    id: one.id,
    rawId: text(one.rawId),
    type: one.type,
    authenticatorAttachment: one.authenticatorAttachment,
    clientExtensionResults: one.getClientExtensionResults(),
  });

  const question = async (form) => {
    if (form.dataset.question) return JSON.parse(form.dataset.question);
    const answer = await fetch(form.dataset.ask, { method: "POST", body: new URLSearchParams() });
    if (!answer.ok) throw new Error(await answer.text());
    return answer.json();
  };

  // What browsers call it, and what the page says to it.
  const words = (form, error) => {
    if (error.name === "InvalidStateError") return form.dataset.known;
    if (error.name === "NotAllowedError" || error.name === "AbortError") return form.dataset.ended;
    return error.message;
  };

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    const said = form.querySelector("[data-said]");
    form.hidden = false;
    if (!window.PublicKeyCredential) {
      said.textContent = form.dataset.without;
      said.hidden = false;
      form.querySelector("button").hidden = true;
      continue;
    }
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      said.hidden = true;
      try {
        const asked = await question(form);
        const answer = await (form.dataset.passkey === "make" ? make(asked) : show(asked));
        form.elements.answer.value = JSON.stringify(answer);
        form.submit();
      } catch (error) {
        said.textContent = words(form, error);
        said.hidden = false;
      }
    });
  }
})();
