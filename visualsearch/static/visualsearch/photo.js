// Comfort for {% visual_search_form %}, which works without it: drop or paste a photo, and a word while it is looked at.

const pictures = (transfer) => [...(transfer?.files ?? [])].filter((file) => file.type.startsWith("image/"));

function enhance(form) {
  const input = form.elements.namedItem("image");
  const loading = form.querySelector("[data-visualsearch-loading]");
  const hint = form.querySelector("[data-visualsearch-hint]");
  const invitation = matchMedia("(hover: none)").matches ? "" : hint?.textContent; // fingers drop nothing
  const name = () => {
    if (hint) hint.textContent = input.files[0]?.name ?? invitation;
  };
  const take = (transfer) => {
    const [file] = pictures(transfer).concat([...(transfer?.files ?? [])]);
    if (!file) return;
    const chosen = new DataTransfer();
    chosen.items.add(file);
    input.files = chosen.files;
    name();
    form.requestSubmit();
  };
  let depth = 0; // dragenter and dragleave come for every element inside, too
  const over = (change) => {
    depth = Math.max(0, depth + change);
    form.toggleAttribute("data-over", depth > 0);
  };

  hint?.removeAttribute("hidden");
  form.toggleAttribute("data-enhanced", hint !== null);
  name();
  form.addEventListener("dragenter", () => over(1));
  form.addEventListener("dragleave", () => over(-1));
  form.addEventListener("dragover", (event) => event.preventDefault());
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    over(-depth);
    take(event.dataTransfer);
  });
  document.addEventListener("paste", (event) => {
    if (pictures(event.clipboardData).length) take(event.clipboardData);
  });
  input.addEventListener("change", name);
  form.addEventListener("submit", () => {
    form.setAttribute("aria-busy", "true");
    if (loading) loading.textContent = loading.dataset.text;
  });
  // A page that comes back from the browser's memory is not busy any more.
  window.addEventListener("pageshow", () => {
    form.removeAttribute("aria-busy");
    if (loading) loading.textContent = "";
    name();
  });
}

document.querySelectorAll("[data-visualsearch]").forEach(enhance);
