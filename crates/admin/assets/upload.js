// Reads a chosen file into the field that it belongs to, so that a form without files carries it.
// Certificates come as text (PEM) or as octets (DER, .cer of Windows). Without script one pastes.
'use strict';
for (const chosen of document.querySelectorAll('input[type=file][data-into]')) {
  chosen.closest('[hidden]')?.removeAttribute('hidden');
  chosen.addEventListener('change', async () => {
    const [file] = chosen.files;
    const field = document.getElementById(chosen.dataset.into);
    if (!file || !field || file.size > field.maxLength) return;
    const octets = new Uint8Array(await file.arrayBuffer());
    const text = new TextDecoder().decode(octets);
    if (text.includes('-----BEGIN')) {
      field.value = text;
      return;
    }
    const base64 = btoa(String.fromCharCode(...octets)).replace(/(.{64})/g, '$1\n');
    field.value = `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`;
  });
}
