// Filters, marks, pages and reasons, all by htmx; this adds what markup cannot say.

import { loadHtmx, SPOKEN } from "./htmx.js";

const OURS = "[data-visualsearch-answer], .visualsearch-results, .visualsearch-more-row, .visualsearch-dialog-why > div";

document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (detail.target.matches?.(OURS) && SPOKEN.has(detail.xhr.status)) detail.shouldSwap = true;
});

// Fields that are left empty do not belong into an address.
document.addEventListener("htmx:configRequest", ({ target, detail }) => {
  if (target.closest("[data-visualsearch-refine], .visualsearch-actions, .visualsearch-more-row"))
    for (const [name, value] of [...detail.formData]) if (value === "") detail.formData.delete(name);
});

document.addEventListener("htmx:beforeRequest", ({ detail }) => {
  if (detail.target.matches?.(".visualsearch-results")) detail.target.setAttribute("aria-busy", "true");
});
document.addEventListener("htmx:afterRequest", ({ detail }) => {
  detail.target?.removeAttribute?.("aria-busy");
});

document.addEventListener("htmx:afterSwap", ({ detail }) => {
  const { target, requestConfig } = detail;
  if (target.parentElement?.matches("[data-visualsearch-why]") && !target.parentElement.open) target.parentElement.showModal();
  const asked = requestConfig?.elt;
  if (asked?.matches?.("[data-visualsearch-thing]")) choose(asked);
});

// The first of the products that were added is where the keyboard goes on.
document.addEventListener("htmx:beforeRequest", ({ detail }) => {
  const row = detail.elt.closest?.(".visualsearch-more-row");
  if (!row) return;
  const last = row.previousElementSibling;
  document.addEventListener("htmx:afterSettle", () => last?.nextElementSibling?.querySelector("a, button")?.focus(), {
    once: true,
  });
});

function choose(button) {
  const aside = button.closest(".visualsearch-query");
  for (const one of aside.querySelectorAll("[data-visualsearch-thing]"))
    one.setAttribute("aria-pressed", String(one === button));
  for (const box of aside.querySelectorAll("[data-visualsearch-box]"))
    box.toggleAttribute("data-chosen", box.dataset.visualsearchBox === button.dataset.visualsearchThing);
}

// A box on the photo is its button in the list below.
document.addEventListener("click", ({ target }) => {
  const box = target.closest?.("[data-visualsearch-box]");
  const aside = box?.closest(".visualsearch-query");
  aside?.querySelector(`[data-visualsearch-thing="${box.dataset.visualsearchBox}"]`)?.click();
});

loadHtmx().then(() => document.documentElement.toggleAttribute("data-visualsearch-live", true));
