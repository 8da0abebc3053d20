// htmx as these pages need it: the shop's own where there is one, else ours, which neither evaluates code nor writes
// styles into the page, so that a strict Content-Security-Policy has nothing to object to.

const CONFIG = { includeIndicatorStyles: false, allowEval: false, historyCacheSize: 0, refreshOnHistoryMiss: true };

// Statuses of answers that have a sentence for the customer; of others the page shows its own.
export const SPOKEN = new Set([400, 404, 413, 422, 429, 503]);

let loading;

export function loadHtmx() {
  loading ??= window.htmx ? Promise.resolve(window.htmx) : bring();
  return loading;
}

async function bring() {
  // Between DOMContentLoaded and load htmx would wait for the first of the two for ever.
  if (document.readyState !== "complete") await new Promise((done) => addEventListener("load", done, { once: true }));
  if (!document.querySelector('meta[name="htmx-config"]')) {
    const meta = document.createElement("meta");
    meta.name = "htmx-config";
    meta.content = JSON.stringify(CONFIG);
    document.head.append(meta);
  }
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL("./vendor/htmx.min.js", import.meta.url).href;
    script.onload = () => resolve(window.htmx);
    script.onerror = reject;
    document.head.append(script);
  });
}
