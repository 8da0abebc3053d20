// What happens between "Find products" and the answer: the photo is made ready, sent with its progress shown, and the
// sending can be cancelled. htmx sends it and puts the answer in its place.

import { loadHtmx, SPOKEN } from "./htmx.js";

export async function sendWithHtmx(form, ready, arrived) {
  const htmx = await loadHtmx();
  htmx.process(form);
  const progress = form.querySelector("[data-visualsearch-progress]");
  const bar = progress.querySelector("progress");
  const busy = (is) => {
    progress.hidden = !is;
    form.toggleAttribute("aria-busy", is);
    if (is) bar.value = 0;
  };
  let photo = null;

  form.addEventListener("htmx:confirm", async (event) => {
    if (event.detail.elt !== form) return;
    event.preventDefault();
    try {
      photo = await ready();
    } catch {
      photo = null;
      say(form, "unread");
    }
    if (photo) event.detail.issueRequest(true);
  });
  form.addEventListener("htmx:configRequest", ({ detail }) => {
    detail.formData.delete("image");
    detail.formData.append("image", photo.file, photo.name);
    if (photo.whole) detail.formData.append("whole", "1");
  });
  form.addEventListener("htmx:beforeSend", () => {
    busy(true);
    say(form, "sending");
  });
  form.addEventListener("htmx:xhr:progress", ({ detail }) => {
    if (!detail.lengthComputable) return;
    bar.value = detail.loaded / detail.total;
    if (detail.loaded === detail.total) {
      bar.removeAttribute("value"); // sent; how long the search takes nobody knows
      say(form, "looking");
    }
  });
  form.addEventListener("htmx:afterRequest", ({ detail }) => {
    busy(false);
    const { status, cancelled } = detail.xhr;
    if (detail.successful || SPOKEN.has(status)) say(form, "");
    else say(form, cancelled ? "cancelled" : "failed");
    if (status) arrived(detail.successful);
  });
  form.querySelector("[data-visualsearch-cancel]").addEventListener("click", () => {
    const request = form["htmx-internal-data"]?.xhr;
    if (request) request.cancelled = true;
    htmx.trigger(form, "htmx:abort");
  });
}

// One of the sentences that the form's template holds; an empty name clears it.
export function say(form, name) {
  const status = form.querySelector("[data-visualsearch-status]");
  if (status) status.textContent = name ? (status.dataset[name] ?? "") : "";
}
