// Reads a chosen file into the field that it belongs to, so that a form without files carries it.
// Certificates come as text (PEM) or as octets (DER, .cer of Windows), exports as text of any
// Windows. Without script one pastes, or the file itself is sent. Buttons that copy need script.
'use strict';
const textOf = (octets) => {
  if (octets[0] === 0xff && octets[1] === 0xfe) return new TextDecoder('utf-16le').decode(octets);
  if (octets[0] === 0xfe && octets[1] === 0xff) return new TextDecoder('utf-16be').decode(octets);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(octets);
  } catch {
    return new TextDecoder('windows-1252').decode(octets);
  }
};
for (const chosen of document.querySelectorAll('input[type=file][data-into]')) {
  chosen.closest('[hidden]')?.removeAttribute('hidden');
  // The field carries it: sent twice, nobody could tell which is meant.
  chosen.removeAttribute('name');
  chosen.addEventListener('change', async () => {
    const [file] = chosen.files;
    const field = document.getElementById(chosen.dataset.into);
    if (!file || !field || file.size > field.maxLength) return;
    const octets = new Uint8Array(await file.arrayBuffer());
    if ('text' in chosen.dataset) {
      field.value = textOf(octets);
      return;
    }
    const text = new TextDecoder().decode(octets);
    if (text.includes('-----BEGIN')) {
      field.value = text;
      return;
    }
    const base64 = btoa(String.fromCharCode(...octets)).replace(/(.{64})/g, '$1\n');
    field.value = `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`;
  });
}
for (const button of document.querySelectorAll('button[data-copies]')) {
  // Only over TLS and on this machine may a page write there.
  if (!navigator.clipboard) continue;
  button.closest('[hidden]')?.removeAttribute('hidden');
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copies).textContent);
    button.textContent = button.dataset.done;
  });
}
