// The frame around a part of a picture: by mouse and touch as Cropper.js has it, by keyboard as we add it.

import "./vendor/cropper.esm.min.js"; // defines its elements
import { QUALITY, SIDE } from "./scale.js";

const STEP = 0.02; // of the picture, for each press of an arrow key
const SMALLEST = 0.05; // of the picture: the least that a frame holds
const WHOLE = 0.98; // a frame that holds more than this of each side is no cut

const HANDLES = ["n", "e", "s", "w", "ne", "nw", "se", "sw"];

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Shows the picture at this address in the place, with a frame around all of it.
export async function frame(place, address) {
  const image = element("cropper-image", { src: address, alt: place.dataset.picture });
  const selection = element(
    "cropper-selection",
    { movable: "", resizable: "", tabindex: "0", role: "group", "aria-label": place.dataset.label },
    element("cropper-handle", { action: "move", plain: "" }),
    ...HANDLES.map((side) => element("cropper-handle", { action: `${side}-resize` })),
  );
  const canvas = element("cropper-canvas", {}, image, element("cropper-shade", {}), selection);
  place.replaceChildren(canvas);
  const { naturalWidth, naturalHeight } = await image.$ready();
  canvas.style.aspectRatio = `${naturalWidth} / ${naturalHeight}`;
  const cut = new Cut(canvas, image, selection, { width: naturalWidth, height: naturalHeight });
  cut.begin();
  return cut;
}

class Cut {
  constructor(canvas, image, selection, size) {
    Object.assign(this, { canvas, image, selection, size });
    this.part = { x: 0, y: 0, width: 1, height: 1 }; // in fractions of the picture
    this.guard = (event) => this.change(event);
    selection.addEventListener("change", this.guard);
    selection.addEventListener("keydown", (event) => this.key(event));
    this.watch = new ResizeObserver(() => this.lay());
  }

  begin() {
    this.watch.observe(this.canvas);
    this.lay();
  }

  get whole() {
    return this.part.width > WHOLE && this.part.height > WHOLE;
  }

  // The frame where the part is, in whatever size the picture is shown now.
  lay() {
    const { offsetWidth: across, offsetHeight: down } = this.canvas;
    if (!across || !down) return;
    this.image.scalable = this.image.translatable = true; // by us, and by nobody's wheel or fingers
    this.image.$center("contain");
    this.image.scalable = this.image.translatable = false;
    const { x, y, width, height } = this.part;
    this.laying = true;
    this.selection.$change(x * across, y * down, width * across, height * down);
    this.laying = false;
  }

  set(part) {
    this.part = part;
    this.lay();
  }

  // A frame that would leave the picture stays where it was.
  change(event) {
    if (this.laying) return;
    const { offsetWidth: across, offsetHeight: down } = this.canvas;
    const { x, y, width, height } = event.detail;
    const slack = 1;
    const inside = x >= -slack && y >= -slack && x + width <= across + slack && y + height <= down + slack;
    if (!inside || width < SMALLEST * across || height < SMALLEST * down) event.preventDefault();
    else this.part = { x: x / across, y: y / down, width: width / across, height: height / down };
  }

  key(event) {
    const step = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
    if (!step) return;
    event.preventDefault();
    const between = (low, value, high) => Math.min(Math.max(low, value), high);
    const { x, y, width, height } = this.part;
    if (event.shiftKey)
      this.set({ x, y, width: between(SMALLEST, width + step[0], 1 - x), height: between(SMALLEST, height + step[1], 1 - y) });
    else this.set({ x: between(0, x + step[0], 1 - width), y: between(0, y + step[1], 1 - height), width, height });
  }

  // What is in the frame, from the pixels of the picture itself, as a JPEG file.
  async file() {
    const across = this.part.width * this.size.width;
    const down = this.part.height * this.size.height;
    const scale = Math.min(1, SIDE / Math.max(across, down));
    const drawn = await this.selection.$toCanvas({ width: Math.round(across * scale), height: Math.round(down * scale) });
    return new Promise((resolve) => drawn.toBlob(resolve, "image/jpeg", QUALITY));
  }

  remove() {
    this.watch.disconnect();
    this.canvas.remove();
  }
}
