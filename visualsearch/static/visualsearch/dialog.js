// {% visual_search_button %}: the photo page as a dialog above the page. Nothing else is loaded before it is opened.

let dialog;

async function open(link) {
  dialog ??= await make(link);
  if (!dialog.open) dialog.showModal();
  const form = dialog.querySelector("[data-visualsearch]");
  const { picture } = link.dataset;
  if (picture) form.dispatchEvent(new CustomEvent("visualsearch:picture", { detail: { address: picture } }));
}

async function make(link) {
  const answer = await fetch(link.href, { headers: { "HX-Request": "true" } });
  if (!answer.ok) throw new Error(`${link.href}: ${answer.status}`);
  const made = document.createElement("dialog");
  made.className = "visualsearch-dialog visualsearch-dialog-photo";
  made.setAttribute("aria-labelledby", "visualsearch-title");
  made.innerHTML = await answer.text();
  made.prepend(closeButton(link.dataset.close));
  made.addEventListener("click", (event) => event.target === made && made.close()); // beside it
  document.body.append(made);
  const { enhance } = await import("./photo.js");
  enhance(made);
  return made;
}

function closeButton(label) {
  const button = document.createElement("button");
  button.className = "visualsearch-close";
  button.type = "button";
  button.setAttribute("aria-label", label);
  button.textContent = "×";
  button.addEventListener("click", () => dialog.close());
  return button;
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("[data-visualsearch-open]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const here = [...document.querySelectorAll("[data-visualsearch-search]")].find((search) => !search.closest("dialog"));
  event.preventDefault();
  if (here) here.querySelector("input[type=file]").focus(); // this is the photo page
  else open(link).catch(() => location.assign(link.href));
});
