// A photo made small enough to be sent at once: the search looks at no more than this. Place and time, which cameras
// write into their files, do not leave the device.

import "./vendor/compressor.min.js"; // defines Compressor

export const SIDE = 1280; // pixels of the longer side
export const QUALITY = 0.85;

export function scaled(file) {
  return new Promise((resolve, reject) => {
    new window.Compressor(file, {
      maxWidth: SIDE,
      maxHeight: SIDE,
      quality: QUALITY,
      convertTypes: ["image/png", "image/webp", "image/gif", "image/bmp"],
      convertSize: 0,
      success: resolve,
      error: reject,
    });
  });
}
