// The form of a photo search: a photo is taken, chosen, dropped or pasted, or is a picture of the page; it is shown with
// a frame around what is to be searched for, and only that is sent. Without this script the form sends a file.

import { say, sendWithHtmx } from "./send.js";

const isPicture = (file) => file.type.startsWith("image/");
const picturesOf = (transfer) => [...(transfer?.files ?? [])].filter(isPicture);

class PhotoForm {
  constructor(form) {
    this.form = form;
    this.search = form.closest("[data-visualsearch-search]");
    this.file = null;
    this.cut = null;
    for (const name of ["stage", "cropper", "choose", "limits"])
      this[name] = form.querySelector(`[data-visualsearch-${name}]`);
    this.submit = form.querySelector("[type=submit]");
    this.inputs = [...form.querySelectorAll("[type=file]")];
    this.listen();
    form.toggleAttribute("data-enhanced", true);
    if (form.hasAttribute("hx-post")) {
      import("./results.js");
      sendWithHtmx(form, () => this.ready(), (found) => this.arrived(found));
    } else form.addEventListener("submit", (event) => this.leave(event));
  }

  listen() {
    const { form, search } = this;
    for (const input of this.inputs) input.addEventListener("change", () => input.files[0] && this.take(input.files[0]));
    form.addEventListener("dragover", (event) => event.preventDefault());
    form.addEventListener("dragenter", () => this.over(1));
    form.addEventListener("dragleave", () => this.over(-1));
    form.addEventListener("drop", (event) => this.drop(event));
    form.addEventListener("visualsearch:picture", ({ detail }) => this.takeFrom(detail.address));
    document.addEventListener("paste", ({ clipboardData }) => {
      const [file] = picturesOf(clipboardData);
      if (file && form.checkVisibility()) this.take(file);
    });
    (search ?? form).addEventListener("click", ({ target }) => {
      if (target.closest("[data-visualsearch-other]")) this.again();
      if (target.closest("[data-visualsearch-recut]")) this.recut();
      if (target.closest("[data-visualsearch-whole]")) this.cut?.set({ x: 0, y: 0, width: 1, height: 1 });
    });
    window.addEventListener("pageshow", ({ persisted }) => persisted && say(form, ""));
  }

  over(change) {
    this.depth = Math.max(0, (this.depth ?? 0) + change); // dragenter and dragleave come for every element inside, too
    this.form.toggleAttribute("data-over", this.depth > 0);
  }

  drop(event) {
    event.preventDefault();
    this.over(-this.depth);
    const [file] = picturesOf(event.dataTransfer).concat([...event.dataTransfer.files]);
    const address = event.dataTransfer.getData("text/uri-list");
    if (file) this.take(file);
    else if (address) this.takeFrom(address);
  }

  // A picture that is on the page already.
  async takeFrom(address) {
    try {
      const answer = await fetch(address);
      const picture = await answer.blob();
      if (!answer.ok || !isPicture(picture)) throw new Error(`no picture: ${answer.status}`);
      await this.take(new File([picture], "picture", { type: picture.type }));
    } catch {
      say(this.form, "unread");
    }
  }

  async take(file) {
    this.file = file;
    this.clear();
    say(this.form, "");
    const { frame } = await import("./crop.js");
    this.address = URL.createObjectURL(file);
    this.stage.hidden = false;
    try {
      this.cut = await frame(this.cropper, this.address);
    } catch {
      this.stage.hidden = true; // a format that this browser cannot show, HEIC for most: the server can
      say(this.form, "unseen");
    }
    this.choose.hidden = this.cut !== null;
    if (this.limits) this.limits.hidden = true;
    this.form.toggleAttribute("data-chosen", true);
    this.show("start");
    this.submit.focus({ preventScroll: true });
  }

  clear() {
    this.cut?.remove();
    this.cut = null;
    if (this.address) URL.revokeObjectURL(this.address);
  }

  again() {
    this.clear();
    this.file = null;
    this.stage.hidden = true;
    this.choose.hidden = false;
    this.form.toggleAttribute("data-chosen", false);
    if (this.limits) this.limits.hidden = false;
    for (const input of this.inputs) input.value = "";
    this.show("start");
    this.inputs[0].focus();
  }

  recut() {
    if (!this.file) return;
    this.show("start");
    this.cropper.querySelector("[tabindex]")?.focus();
  }

  // What is sent: the part in the frame, or the whole photo made smaller, or the file where the browser cannot read it.
  async ready() {
    if (!this.file) {
      say(this.form, "missing");
      return null;
    }
    const { name } = this.file;
    if (this.cut && !this.cut.whole) return { file: await this.cut.file(), name, whole: true };
    const { scaled } = await import("./scale.js");
    return { file: this.cut ? await scaled(this.file) : this.file, name, whole: false };
  }

  // The form stands in a page that has no place for the answer: the answer is a page of its own.
  async leave(event) {
    event.preventDefault();
    const photo = await this.ready();
    if (!photo) return;
    const sent = new DataTransfer();
    sent.items.add(new File([photo.file], photo.name, { type: photo.file.type }));
    this.inputs[0].files = sent.files;
    for (const input of this.inputs.slice(1)) input.disabled = true;
    say(this.form, "looking");
    this.form.submit();
  }

  arrived(found) {
    if (found) this.show("found");
  }

  // Either the form is seen, or the photo beside what it found.
  show(what) {
    if (!this.search) return;
    this.search.dataset.state = what;
    this.search.classList.toggle("visualsearch-search-found", what === "found");
    for (const again of this.search.querySelectorAll("[data-visualsearch-again]")) again.hidden = what !== "found";
    for (const recut of this.search.querySelectorAll("[data-visualsearch-recut]")) recut.hidden = this.cut === null;
    if (what === "found") this.search.querySelector(".visualsearch-found [tabindex]")?.focus();
  }
}

export function enhance(root) {
  for (const form of root.querySelectorAll("[data-visualsearch]:not([data-enhanced])")) new PhotoForm(form);
}

enhance(document);
